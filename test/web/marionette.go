package web

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// maxMessage bounds what the browser says at once, in bytes.
const maxMessage = 1 << 20

// Marionette is Firefox's own remote control: messages of JSON, each with its length
// in decimal and a colon before it (Firefox's source, remote/marionette/packets.sys.mjs).
type Marionette struct {
	r  *bufio.Reader
	w  io.Writer
	id int
}

// Connect reads the browser's greeting and opens a session.
func Connect(r io.Reader, w io.Writer) (*Marionette, error) {
	m := &Marionette{r: bufio.NewReader(r), w: w}
	if _, err := m.read(); err != nil {
		return nil, fmt.Errorf("reading the browser's greeting: %w", err)
	}
	return m, m.Do("WebDriver:NewSession", nil, nil)
}

// read reads one message.
func (m *Marionette) read() ([]byte, error) {
	digits, err := m.r.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(digits[:len(digits)-1])
	if err != nil || n < 0 || n > maxMessage {
		return nil, fmt.Errorf("%q is no length of a message", digits)
	}
	message := make([]byte, n)
	_, err = io.ReadFull(m.r, message)
	return message, err
}

// Do runs a command, and puts what it returns into answer unless that is nil.
func (m *Marionette) Do(command string, parameters map[string]any, answer any) error {
	m.id++
	if parameters == nil {
		parameters = map[string]any{}
	}
	message, err := json.Marshal([]any{0, m.id, command, parameters})
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(m.w, "%d:%s", len(message), message); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	reply, err := m.read()
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	var kind, id int
	var failed *struct{ Error, Message string }
	value := struct{ Value any }{answer}
	if err := json.Unmarshal(reply, &[]any{&kind, &id, &failed, &value}); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if failed != nil {
		return fmt.Errorf("%s: %s: %s", command, failed.Error, failed.Message)
	}
	return nil
}

// Open leads the browser to a page.
func (m *Marionette) Open(url string) error {
	return m.Do("WebDriver:Navigate", map[string]any{"url": url}, nil)
}

// Page runs a script in the page, and puts what it returns into answer.
func (m *Marionette) Page(script string, answer any) error {
	return m.Do("WebDriver:ExecuteScript", map[string]any{"script": script, "args": []any{}}, answer)
}

// popup gives what a person reads in an extension's popup, and what is typed there;
// "..." while it opens or closes.
const popup = `const done = arguments[0], popup = document.querySelector("browser.webextension-popup-browser");
if (!popup) done(""); else {
	popup.messageManager.addMessageListener("read", function read(message) {
		popup.messageManager.removeMessageListener("read", read);
		done(message.data);
	});
	popup.ownerDocument.defaultView.setTimeout(done, 1000, "...");
	popup.messageManager.loadFrameScript("data:,sendAsyncMessage('read', content.document.querySelector('input')" +
		" ? content.document.body.innerText + ' typed: ' + content.document.querySelector('input').value : '...')", false);
}`

// Popup is what can be read in an extension's popup, "" if none is open.
func (m *Marionette) Popup() (text string, err error) {
	if err := m.Do("Marionette:SetContext", map[string]any{"value": "chrome"}, nil); err != nil {
		return "", err
	}
	if err := m.Do("WebDriver:ExecuteAsyncScript", map[string]any{"script": popup, "args": []any{}}, &text); err != nil {
		return "", err
	}
	return text, m.Do("Marionette:SetContext", map[string]any{"value": "content"}, nil)
}
