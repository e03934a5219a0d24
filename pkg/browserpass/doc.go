// Package browserpass is the native-messaging host that the browser extension
// Browserpass talks to, with the vault behind it in place of files and gpg.
//
// The extension is taken as published. It says in each request which programs and
// directories to use; none of that is looked at here, but the name of a store, which
// is only said back. Of an entry it gets the password, login and url, each of which
// the vault gives out by itself: no notes, and no otpauth secret.
//
// Sources: browserpass/browserpass-native 3.1.2 (PROTOCOL.md, errors/), and
// browserpass/browserpass-extension 3.7.2 (src/background.js, src/helpers.js).
package browserpass
