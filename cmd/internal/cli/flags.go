package cli

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/fault"
)

// common are the flags that every command has, and those of every command that speaks to a registry.
type common struct {
	config      string
	stall       time.Duration
	maxWait     time.Duration
	retries     int
	concurrency int
	bandwidth   perSecond
	images      int // in flight; 0 is dray's default
	plainHTTP   bool
	insecure    bool
	caFile      string
	srcCreds    string
	server      string // "" asks the environment and the configuration
	noWait      bool
	dstCreds    string
}

// perSecond is a flag of so many bytes a second; 0 is any number.
type perSecond int64

func (p *perSecond) Type() string { return "SIZE" }

func (p *perSecond) String() string {
	if *p == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*p), 10)
}

func (p *perSecond) Set(s string) error {
	n, err := config.Size(s)
	if err != nil {
		return err
	}
	if n == 0 {
		return errors.New("nothing would move")
	}
	*p = perSecond(n)
	return nil
}

// Headings under which help lists flags; a flag without one is the command's own.
const (
	groupKey      = "dray-group"
	everyCommand  = "Every command"
	registryFlags = "Registries"
)

func (c *common) addTo(flags *pflag.FlagSet, h *how) {
	h.format = formatText
	flags.VarP(&h.format, "output", "o", "what stdout gets")
	flags.BoolVarP(&h.quiet, "quiet", "q", false, "only errors on stderr")
	flags.BoolVarP(&h.verbose, "verbose", "v", false, "tell each thing that happens on stderr")
	flags.BoolVar(&h.debug, "debug", false, "tell each HTTP request on stderr: method, URL, status, bytes, time")
	flags.BoolVar(&h.noProgress, "no-progress", false, "no progress bars, no heartbeat lines")
	flags.StringVar(&c.config, "config", "", "configuration `FILE` (default $DRAY_CONFIG, else $XDG_CONFIG_HOME/dray/config.yaml)")
	inGroup(flags, everyCommand)
}

// addRegistryTo adds the flags of commands that speak to registries.
func (c *common) addRegistryTo(flags *pflag.FlagSet) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.DurationVar(&c.stall, "stall-timeout", 30*time.Second, "cut and resume a request after `DURATION` without a byte")
	set.DurationVar(&c.maxWait, "max-wait", 10*time.Minute, "`DURATION` of the longest wait that a registry may ask for")
	set.IntVar(&c.retries, "retries", 8, "try one operation `N` times without progress in between")
	set.IntVar(&c.concurrency, "concurrency", 32, "at most `N` blobs in flight")
	set.Var(&c.bandwidth, "bandwidth", "send at most this `SIZE` of blobs a second, to all registries together: 200MiB")
	set.BoolVar(&c.plainHTTP, "plain-http", false, "speak http to every registry of this command")
	set.StringVar(&c.caFile, "ca-file", "", "trust the certificates in this PEM `FILE` too")
	set.BoolVar(&c.insecure, "insecure", false, "do not verify TLS certificates")
	set.StringVar(&c.srcCreds, "src-creds", "", "login at the source, `USER[:PASS]` or :TOKEN (default $DRAY_SRC_CREDS)")
	set.StringVar(&c.dstCreds, "dst-creds", "", "login at the target, `USER[:PASS]` or :TOKEN (default $DRAY_DST_CREDS)")
	inGroup(set, registryFlags)
	flags.AddFlagSet(set)
}

func inGroup(flags *pflag.FlagSet, name string) {
	flags.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{groupKey: {name}} })
}

// sourceLogin is the login that the command line or the environment names for the source; nil leaves
// the search to the configuration and the files of docker and podman.
func (a *app) sourceLogin(ctx context.Context) (*credential.Login, error) {
	return a.loginFrom(ctx, "--src-creds", a.common.srcCreds, "DRAY_SRC")
}

// targetLogin is the same for the target.
func (a *app) targetLogin(ctx context.Context) (*credential.Login, error) {
	return a.loginFrom(ctx, "--dst-creds", a.common.dstCreds, "DRAY_DST")
}

func (a *app) loginFrom(ctx context.Context, flag, value, prefix string) (*credential.Login, error) {
	if value == "" {
		l, ok, err := credential.FromEnv(a.IO.Env, prefix)
		if !ok || err != nil {
			return nil, err
		}
		return &l, nil
	}
	l, err := credential.ParseCreds(value)
	if errors.Is(err, credential.ErrNoPassword) && a.IO.Terminal.Password != nil {
		l, err = a.askPassword(ctx, strings.TrimSuffix(value, ":"))
	}
	if err != nil {
		return nil, &fault.Fault{Kind: fault.Invalid, Op: "read", Name: flag, Err: err}
	}
	l.From = "flag " + flag
	return &l, nil
}

// askPassword prompts on stderr, so that stdout stays the answer.
func (a *app) askPassword(ctx context.Context, user string) (credential.Login, error) {
	if _, err := io.WriteString(a.err, "Password for "+user+": "); err != nil {
		return credential.Login{}, err
	}
	password, err := a.IO.Terminal.Password(ctx)
	io.WriteString(a.err, "\n")
	if err != nil {
		return credential.Login{}, &fault.Fault{Kind: fault.Canceled, Op: "read password", Err: err}
	}
	return credential.FromPassword(user, string(password))
}

// maxStdinPassword bounds what --password-stdin reads, in bytes; Entra tokens with many groups have some 10 KiB.
const maxStdinPassword = 64 << 10

func (a *app) readPassword() (string, error) {
	b, err := io.ReadAll(io.LimitReader(a.IO.In, maxStdinPassword+1))
	if err == nil && len(b) > maxStdinPassword {
		err = errors.New("longer than 64 KiB")
	}
	if err == nil && strings.TrimSpace(string(b)) == "" {
		err = errors.New("nothing came")
	}
	if err != nil {
		return "", &fault.Fault{Kind: fault.Invalid, Op: "read", Name: "--password-stdin", Err: err}
	}
	return string(b), nil
}
