// Package web has real clients of a signer, out of npm's registry, and a real
// browser for them: ethers, viem and web3.js in clients.mjs, Chromium on the pages
// of dapp.html in browser.mjs. The tests run them against booted qubes. Nothing of
// it is shipped.
package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed" // for the files below
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/splitvault/splitvault/test/qubes/bench/roots"
)

//go:embed package.json
var packageJSON []byte

//go:embed package-lock.json
var lockJSON []byte

//go:embed clients.mjs
var clients []byte

//go:embed browser.mjs
var browser []byte

//go:embed dapp.html
var dapp []byte

// Modules returns a directory with the node_modules that package-lock.json names,
// which it installs into the cache once (20 s). No script of a package is run.
func Modules(ctx context.Context) (string, error) {
	cache, err := roots.Cache()
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	sum.Write(packageJSON)
	sum.Write(lockJSON)
	dir := filepath.Join(cache, fmt.Sprintf("web-%x", sum.Sum(nil)[:6]))
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	building, err := os.MkdirTemp(cache, "web-building-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(building)
	for name, text := range map[string][]byte{"package.json": packageJSON, "package-lock.json": lockJSON} {
		if err := os.WriteFile(filepath.Join(building, name), text, 0o644); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = building
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing the clients (npm ci): %w\n%s", err, said)
	}
	return dir, os.Rename(building, dir)
}

// Bundle returns clients.mjs with all that it imports, as one file for node.
func Bundle(ctx context.Context, modules string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "node_modules/.bin/esbuild", "--bundle", "--platform=node", "--target=node18", "--format=cjs", "--log-level=warning")
	cmd.Dir = modules
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	go func() {
		_, _ = in.Write(clients) // esbuild's end says more
		_ = in.Close()
	}()
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("bundling the clients: %w\n%s", err, failed.Stderr)
	}
	return out, err
}

// Stage puts what the browser's test needs into a directory that any user can read:
// browser.mjs, dapp.html, a certificate (cert.pem, key.pem) and playwright-core.
func Stage(modules, dir string) error {
	cert, key, err := certificate()
	if err != nil {
		return err
	}
	for name, text := range map[string][]byte{"browser.mjs": browser, "dapp.html": dapp, "cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	const playwright = "node_modules/playwright-core"
	return os.CopyFS(filepath.Join(dir, playwright), os.DirFS(filepath.Join(modules, playwright)))
}

// certificate is for pages that no browser is to believe.
func certificate() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "app.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), nil
}
