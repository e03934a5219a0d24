package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/splitvault/splitvault/pkg/clientconf"
	"github.com/splitvault/splitvault/pkg/jsonrpc"
	"github.com/splitvault/splitvault/pkg/qrexec"
)

// Of split Clef, see splitvault-clef(8).
const (
	clefName  = "splitvault-clef"
	clefUnit  = clefName + ".socket"
	clefUnit6 = clefName + "6.socket"
	clefIPC   = clefName + "-ipc.socket"
	clefRelay = "/usr/lib/splitvault/clef-relay"
)

func (d *diagnosis) clefPath() string {
	return filepath.Join(d.env.Getenv("HOME"), ".clef", "clef.ipc")
}

// clefOn tells whether this qube is meant to use the Clef of a vault.
func (d *diagnosis) clefOn(ctx context.Context) bool {
	return !d.exists(vaultFile) && (d.clefSwitched() || d.dom0Says(ctx, clefName))
}

func (d *diagnosis) clefSwitched() bool {
	return d.exists("/run/qubes-service/"+clefName) || d.exists("/etc/systemd/user/sockets.target.wants/"+clefUnit) || d.exists("/etc/splitvault/enable/"+clefName)
}

func (d *diagnosis) clefService(context.Context) (Result, bool) {
	if !d.clefSwitched() {
		return problem("clef", clefName+" was switched on after this qube started", d.restart()), false
	}
	return ok("clef", clefName+" is switched on"), true
}

func (d *diagnosis) clefPrograms(context.Context) (Result, bool) {
	if info, err := d.env.Lstat(clefRelay); err != nil || info.Mode()&0o111 == 0 {
		return problem("clef-programs", clefRelay+" is missing or not executable",
			Step{Where: "template", Do: "install splitvault (again), then shut the template down"}, d.restart()), false
	}
	return Result{}, true
}

// clefPort looks at the port, which another program may have taken. Programs may do
// without it.
func (d *diagnosis) clefPort(ctx context.Context) (Result, bool) {
	r, _ := d.socket(ctx, "clef-port", clefUnit, "8550")
	if !taken(r) {
		return r, true
	}
	return problem("clef-port", "something else listens on port 8550, so that "+clefUnit+" cannot",
		d.here("ss -ltnp 'sport = :8550'   (shows what it is; stop it)"), d.here("systemctl --user restart %s", clefUnit)), true
}

// clefPort6 looks at the same port over IPv6, which "localhost" may mean as well.
// Where there is no IPv6, nothing is missed.
func (d *diagnosis) clefPort6(ctx context.Context) (Result, bool) {
	if r, _ := d.socket(ctx, "clef-port6", clefUnit6, "8550"); !taken(r) {
		return Result{}, true
	}
	return problem("clef-port6", "something else listens on port 8550 of [::1]: programs that call localhost may reach it in place of the vault",
		d.here("ss -ltnp 'sport = :8550'   (shows what it is; stop it)"), d.here("systemctl --user restart %s", clefUnit6)), true
}

// taken tells whether a unit failed for want of its port.
func taken(r Result) bool { return strings.Contains(r.Text, "failed: \"resources\"") }

func (d *diagnosis) clefSocket(ctx context.Context) (Result, bool) {
	return d.socket(ctx, "clef-socket", clefIPC, d.clefPath())
}

func (d *diagnosis) clefNode(context.Context) (Result, bool) {
	return d.socketNode("clef-node", clefIPC, d.clefPath())
}

// clefPages reads which web pages may use the signer.
func (d *diagnosis) clefPages(context.Context) (Result, bool) {
	for _, path := range clientconf.Paths(d.env.Getenv) {
		text, err := d.env.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		where := d.self()
		if path == clientconf.SystemFile {
			where = "template"
		}
		if err != nil {
			return problem("clef-pages", fmt.Sprintf("%s cannot be read, so that no web page may use the signer: %v", path, err), Step{Where: where, Do: "ls -l " + path}), true
		}
		config, err := clientconf.Parse(text)
		if err != nil {
			return problem("clef-pages", fmt.Sprintf("%s has a mistake, so that no web page may use the signer: %v", path, err), Step{Where: where, Do: "correct " + path}), true
		}
		return ok("clef-pages", "%d web pages may use the signer", len(config.Origins)), true
	}
	return Result{}, true
}

// clefTarget compares dom0's wish with what the relays were told.
func (d *diagnosis) clefTarget(ctx context.Context) (Result, bool) {
	want, found := d.qubesDB(ctx, "/vm-config/splitvault-clef-domain")
	if !found {
		return Result{}, true
	}
	if _, err := qrexec.ParseQubeName(want); err != nil {
		return problem("clef-target", fmt.Sprintf("vm-config.splitvault-clef-domain is no name of a qube: %.40q", want),
			dom0("qvm-features %s vm-config.splitvault-clef-domain VAULT", d.self())), true
	}
	file, err := d.env.ReadFile(filepath.Join(d.runtime(), "splitvault", "env"))
	if err == nil && pairs(string(file))["QUBES_CLEF_DOMAIN"] == want {
		return ok("clef-target", "dom0 names %s as the vault of accounts", want), true
	}
	return problem("clef-target", fmt.Sprintf("dom0 names %s as the vault of accounts, the relays have not been told yet", want),
		d.here("systemctl --user restart %s", clefUnit)), true
}

// clefCall has Clef tell its version, through all that is between.
func (d *diagnosis) clefCall(ctx context.Context) (Result, bool) {
	reply, err := d.clefVersion(ctx)
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return d.noAnswer("clef-call"), true
	}
	if err != nil {
		return problem("clef-call", fmt.Sprintf("the relay does not answer: %v", err), d.here("journalctl --user -t splitvault-clef-relay")), true
	}
	switch e := reply.Err; {
	case e == nil:
		return ok("clef-call", "the vault's Clef answers"), true
	case e.Code == jsonrpc.CodeUserDenied && strings.Contains(e.Message, "Qubes policy"):
		return problem("clef-call", "dom0 refused the call",
			dom0("%s   (and write: qubes.Clefsign * %s @anyvm ask target=VAULT default_target=VAULT)", policyCommand, d.self())), true
	case e.Code == jsonrpc.CodeUserDenied, e.Code == jsonrpc.CodeUnauthorized:
		return warning("clef-call", "the vault answers, but does not let this qube ask for Clef's version: its rules, or a person there",
			Step{Where: "vault", Do: fmt.Sprintf("splitvault explain %s clef", d.self())}), true
	default:
		return problem("clef-call", fmt.Sprintf("the relay says: %.300q", e.Message), d.here("journalctl --user -t splitvault-clef-relay")), true
	}
}

func (d *diagnosis) clefVersion(ctx context.Context) (jsonrpc.Reply, error) {
	deadline := time.Now().Add(d.opts.Wait)
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	conn, err := d.env.Dial(ctx, d.clefPath())
	if err != nil {
		return jsonrpc.Reply{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return jsonrpc.Reply{}, err
	}
	if _, err := io.WriteString(conn, `{"jsonrpc":"2.0","id":"doctor","method":"account_version"}`); err != nil {
		return jsonrpc.Reply{}, err
	}
	if c, ok := conn.(*net.UnixConn); ok {
		if err := c.CloseWrite(); err != nil {
			return jsonrpc.Reply{}, err
		}
	}
	untrusted, err := io.ReadAll(io.LimitReader(conn, 64<<10))
	if err != nil {
		return jsonrpc.Reply{}, err
	}
	return jsonrpc.ParseReply(untrusted)
}
