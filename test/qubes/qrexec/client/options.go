package client

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Exit codes of qrexec-client-vm, libqrexec/qrexec.h QREXEC_EXIT_*.
const (
	exitFailure = 1
	exitUsage   = 2
	exitRefused = 126
	exitBroken  = 255
)

// maxService is the longest SERVICE+ARG in bytes, qrexec.h MAX_SERVICE_NAME_LEN.
const maxService = 65000

// targetSize is the size of the target field of a request without its final NUL;
// a longer name is cut without a word (qrexec.h, target_domain[64]).
const targetSize = 63

type options struct {
	buffer      int
	filterOut   *bool // nil = as the terminal decides
	filterErr   *bool
	agentSocket string
	prefix      *string
	stdinSocket bool
	sourceQube  string
	target      string
	service     string
	local       []string // program and arguments, empty = none
}

// exitError ends the program with code after text on stderr.
type exitError struct {
	code  int
	text  string
	usage bool
}

func (e *exitError) Error() string { return e.text }

func usageError(text string) error { return &exitError{code: exitUsage, text: text, usage: true} }

type option struct {
	long   string
	short  byte
	value  bool   // takes one
	since  string // release, "" = all
	action func(o *options, value string) error
}

// table lists the options of agent/qrexec-client-vm.c in its order.
func table() []option {
	set := func(field func(*options) **bool, value bool) func(*options, string) error {
		return func(o *options, _ string) error { *field(o) = &value; return nil }
	}
	stdout := func(o *options) **bool { return &o.filterOut }
	stderr := func(o *options) **bool { return &o.filterErr }
	return []option{
		{long: "buffer-size", value: true, action: parseBuffer},
		{long: "filter-escape-chars-stdout", short: 't', action: set(stdout, true)},
		{long: "filter-escape-chars-stderr", short: 'T', action: set(stderr, true)},
		{long: "no-filter-escape-chars-stdout", action: set(stdout, false)},
		{long: "no-filter-escape-chars-stderr", action: set(stderr, false)},
		{long: "agent-socket", short: 'a', value: true, action: func(o *options, v string) error { o.agentSocket = v; return nil }},
		{long: "prefix-data", short: 'p', value: true, since: "4.2", action: parsePrefix},
		{long: "use-stdin-socket", since: "4.2", action: parseStdinSocket},
		{long: "source-qube", short: 's', value: true, since: "4.3", action: func(o *options, v string) error { o.sourceQube = v; return nil }},
		{long: "help", short: 'h', action: func(*options, string) error { return &exitError{usage: true} }},
	}
}

// parse reads args (without the program's name) as getopt_long with "+" does:
// up to the first non-option or "--"; long names may be abbreviated.
func parse(args []string, release string) (options, error) {
	o := options{}
	var known []option
	for _, opt := range table() {
		if opt.since <= release {
			known = append(known, opt)
		}
	}
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			args = args[1:]
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			break
		}
		var err error
		if strings.HasPrefix(arg, "--") {
			args, err = parseLong(&o, known, args)
		} else {
			args, err = parseShort(&o, known, args)
		}
		if err != nil {
			return options{}, err
		}
	}
	if len(args) < 2 {
		return options{}, usageError("")
	}
	o.target, o.service, o.local = args[0], args[1], args[2:]
	if len(o.local) > 0 && o.stdinSocket {
		return options{}, usageError("cannot spawn a local process with --use-stdin-socket")
	}
	if len(o.service) > maxService {
		return options{}, &exitError{code: exitFailure, text: fmt.Sprintf("service name too long: %d > %d", len(o.service), maxService)}
	}
	o.target = strings.ReplaceAll(o.target, "$", "@")
	o.target = o.target[:min(len(o.target), targetSize)]
	return o, nil
}

func parseLong(o *options, known []option, args []string) ([]string, error) {
	name, value, hasValue := strings.Cut(args[0][2:], "=")
	opt, err := findLong(known, name)
	if err != nil {
		return nil, err
	}
	rest := args[1:]
	switch {
	case hasValue && !opt.value:
		return nil, usageError(fmt.Sprintf("option '--%s' doesn't allow an argument", opt.long))
	case !hasValue && opt.value:
		if len(rest) == 0 {
			return nil, usageError(fmt.Sprintf("option '--%s' requires an argument", opt.long))
		}
		value, rest = rest[0], rest[1:]
	}
	return rest, opt.action(o, value)
}

func findLong(known []option, name string) (option, error) {
	var found []option
	for _, opt := range known {
		if opt.long == name {
			return opt, nil
		}
		if strings.HasPrefix(opt.long, name) {
			found = append(found, opt)
		}
	}
	switch len(found) {
	case 0:
		return option{}, usageError(fmt.Sprintf("unrecognized option '--%s'", name))
	case 1:
		return found[0], nil
	default:
		return option{}, usageError(fmt.Sprintf("option '--%s' is ambiguous", name))
	}
}

func parseShort(o *options, known []option, args []string) ([]string, error) {
	cluster, rest := args[0][1:], args[1:]
	for cluster != "" {
		opt, err := findShort(known, cluster[0])
		if err != nil {
			return nil, err
		}
		value := ""
		cluster = cluster[1:]
		if opt.value {
			value, cluster = cluster, ""
			if value == "" {
				if len(rest) == 0 {
					return nil, usageError(fmt.Sprintf("option requires an argument -- '%c'", opt.short))
				}
				value, rest = rest[0], rest[1:]
			}
		}
		if err := opt.action(o, value); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func findShort(known []option, c byte) (option, error) {
	for _, opt := range known {
		if opt.short == c {
			return opt, nil
		}
	}
	return option{}, usageError(fmt.Sprintf("invalid option -- '%c'", c))
}

func parseBuffer(o *options, value string) error {
	if value == "" || value[0] < '0' || value[0] > '9' {
		return &exitError{code: exitFailure, text: "Bad buffer size: does not begin with a number"}
	}
	n, err := strconv.ParseInt(value, 0, 32) // decimal, 0x and octal, as strtoul with base 0
	if err != nil {
		return &exitError{code: exitFailure, text: "Bad buffer size: trailing junk or out of range"}
	}
	o.buffer = int(n)
	return nil
}

func parsePrefix(o *options, value string) error {
	if o.prefix != nil {
		return usageError("")
	}
	o.prefix = &value
	return nil
}

func parseStdinSocket(o *options, _ string) error {
	if o.stdinSocket {
		return &exitError{code: exitUsage, text: "--use-stdin-socket passed twice"}
	}
	kind, err := unix.GetsockoptInt(0, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case errors.Is(err, unix.ENOTSOCK):
		return &exitError{code: exitUsage, text: "--use-stdin-socket passed, but stdin not a socket"}
	case err != nil:
		return &exitError{code: exitUsage, text: "getsockopt(0, SOL_SOCKET, SO_TYPE): " + err.Error()}
	case kind != unix.SOCK_STREAM:
		return &exitError{code: exitUsage, text: fmt.Sprintf("stdin was a socket of type %d, not SOCK_STREAM (%d)", kind, unix.SOCK_STREAM)}
	}
	o.stdinSocket = true
	return nil
}
