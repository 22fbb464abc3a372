package credential

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/ref"
)

// HelperTimeout is how long a credential helper may take for one answer, including the time in which a person
// types a passphrase.
const HelperTimeout = 10 * time.Second

const (
	helperPrefix = "docker-credential-"
	helperToken  = "<token>" // the user name that marks a refresh token
	maxReply     = 1 << 20   // bytes
	// pipeGrace is how long the child processes of a killed helper may keep its output open.
	pipeGrace = 500 * time.Millisecond
)

var (
	helperForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`) })

	errHung    = errors.New("no answer in time")
	errJunk    = errors.New("its answer is not the JSON of a credential helper")
	errTooLong = errors.New("its answer is longer than 1 MiB")
)

// Helper returns a Lookup that asks the credential helper docker-credential-NAME on PATH, as docker does.
//
// The error is [fault.Denied], and names the program, if the helper is missing, fails, does not answer within
// [HelperTimeout], or answers with something other than a login. It is [fault.Invalid] if name is not valid,
// and [fault.Canceled] if ctx ended.
func Helper(name string) Lookup {
	h := helper{name: name}
	return func(ctx context.Context, repo ref.Repo) (Login, bool, error) {
		return h.find(ctx, repo.Host)
	}
}

// helper runs a program with the protocol of docker-credential-helpers: the verb is the only argument, stdin
// is the server, and stdout is JSON. Secrets are never arguments.
type helper struct {
	name  string
	limit time.Duration // 0 means HelperTimeout
}

type helperLogin struct {
	ServerURL string
	Username  string
	Secret    string
}

func (h helper) String() string { return helperPrefix + h.name }

// find asks for host under each of the names that tools use for it.
func (h helper) find(ctx context.Context, host string) (Login, bool, error) {
	for _, server := range serverNames(host) {
		if l, ok, err := h.get(ctx, server); ok || err != nil {
			return l, ok, err
		}
	}
	return Login{}, false, nil
}

func (h helper) get(ctx context.Context, server string) (Login, bool, error) {
	out, known, err := h.run(ctx, "get", []byte(server))
	if err != nil || !known {
		return Login{}, false, err
	}
	var got helperLogin
	if json.Unmarshal(out, &got) != nil {
		return Login{}, false, h.fail("get", errJunk)
	}
	var l Login
	switch {
	case got.Username == "" && got.Secret == "":
		return Login{}, false, nil
	case got.Secret == "":
		return Login{}, false, h.fail("get", errJunk)
	case got.Username == helperToken:
		l = Login{Scheme: Refresh, Password: New(got.Secret)}
	default:
		l = stored(got.Username, got.Secret)
	}
	l.From = "credential helper " + h.String()
	return l, true, nil
}

func (h helper) store(ctx context.Context, server string, l Login) error {
	entry := helperLogin{ServerURL: server, Username: l.User, Secret: l.Password.Reveal()}
	switch l.Scheme {
	case Refresh:
		entry.Username = helperToken
	case Bearer:
		entry.Username = TokenUser
	}
	in, err := json.Marshal(entry)
	if err != nil {
		return h.fail("store", err)
	}
	_, _, err = h.run(ctx, "store", in)
	return err
}

// erase removes the logins for all names of host that the helper knows.
func (h helper) erase(ctx context.Context, host string) (removed bool, err error) {
	for _, server := range serverNames(host) {
		// Helpers differ in how they answer if there is nothing to erase, so ask whether there is a login.
		_, known, err := h.run(ctx, "get", []byte(server))
		if err != nil {
			return removed, err
		}
		if !known {
			continue
		}
		if _, known, err = h.run(ctx, "erase", []byte(server)); err != nil {
			return removed, err
		}
		removed = removed || known
	}
	return removed, nil
}

// run runs the helper. known is false if the helper says that it has no such login. The output of the helper is
// never part of an error, because it may contain the secret.
func (h helper) run(ctx context.Context, verb string, in []byte) (out []byte, known bool, err error) {
	if !helperForm().MatchString(h.name) {
		return nil, false, &fault.Fault{
			Kind: fault.Invalid,
			Op:   "use credential helper",
			Name: h.String(),
			Hint: "use the part of the name that follows " + helperPrefix,
			Err:  errors.New("not the name of a credential helper"),
		}
	}
	limit := h.limit
	if limit == 0 {
		limit = HelperTimeout
	}
	timed, cancel := context.WithTimeoutCause(ctx, limit, errHung)
	defer cancel()
	// The helper stays in the process group of dray, because it needs the terminal if it asks for a passphrase.
	cmd := exec.CommandContext(timed, h.String(), verb)
	cmd.WaitDelay = pipeGrace
	cmd.Stdin = bytes.NewReader(in)
	stdout, stderr := &capped{left: maxReply}, &capped{left: maxReply}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it succeeded, but left a child process that keeps its output open
	}
	switch {
	case ctx.Err() != nil:
		return nil, false, &fault.Fault{
			Kind: fault.Canceled,
			Op:   "ask credential helper",
			Name: h.String(),
			Err:  context.Cause(ctx),
		}
	case timed.Err() != nil:
		return nil, false, h.fail(verb, errHung)
	case err != nil && (saysNotFound(stdout) || saysNotFound(stderr)):
		return nil, false, nil
	case err != nil:
		return nil, false, h.fail(verb, err)
	case stdout.over:
		return nil, false, h.fail(verb, errTooLong)
	}
	return unmarked(stdout.kept.Bytes()), true, nil
}

func (h helper) fail(verb string, cause error) error {
	hint := "try it by hand: echo HOST | " + h.String() + " " + verb
	if errors.Is(cause, exec.ErrNotFound) {
		hint, cause = "install it, or remove it from the configuration", errors.New("not on PATH")
	}
	return &fault.Fault{
		Kind: fault.Denied,
		Op:   "ask credential helper",
		Name: h.String() + " to " + verb,
		Hint: hint,
		Err:  cause,
	}
}

// saysNotFound reports whether b contains the sentence that every helper prints if it has no such login. The
// protocol has no error code for this.
func saysNotFound(b *capped) bool {
	return strings.Contains(strings.ToLower(b.kept.String()), "credentials not found")
}

// capped is an io.Writer that keeps the first bytes and discards the rest, so that the helper never blocks.
type capped struct {
	kept bytes.Buffer
	left int
	over bool
}

func (c *capped) Write(p []byte) (int, error) {
	keep := p[:min(len(p), c.left)]
	c.over = c.over || len(keep) < len(p)
	c.left -= len(keep)
	c.kept.Write(keep)
	return len(p), nil
}
