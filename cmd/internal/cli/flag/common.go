package flag

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
)

// Common are the flags that every command has, and those of every command that speaks to a registry.
type Common struct {
	Config      string
	Stall       time.Duration
	MaxWait     time.Duration
	Retries     int
	Concurrency int
	Bandwidth   perSecond
	Images      int // in flight; 0 is dray's default
	PlainHTTP   bool
	Insecure    bool
	CaFile      string
	SrcCreds    string
	Server      string // "" asks the environment and the configuration
	NoWait      bool
	DstCreds    string
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
	GroupKey      = "dray-group"
	EveryCommand  = "Every command"
	RegistryFlags = "Registries"
)

// AddTo adds the flags of every command.
func (c *Common) AddTo(flags *pflag.FlagSet, h *out.How) {
	h.Format = out.FormatText
	flags.VarP(&h.Format, "output", "o", "what stdout gets")
	flags.BoolVarP(&h.Quiet, "quiet", "q", false, "only errors on stderr")
	flags.BoolVarP(&h.Verbose, "verbose", "v", false, "tell each thing that happens on stderr")
	flags.BoolVar(&h.Debug, "debug", false, "tell each HTTP request on stderr: method, URL, status, bytes, time")
	flags.BoolVar(&h.NoProgress, "no-progress", false, "no progress bars, no heartbeat lines")
	flags.StringVar(&c.Config, "config", "", "configuration `FILE` (default $DRAY_CONFIG, else $XDG_CONFIG_HOME/dray/config.yaml)")
	inGroup(flags, EveryCommand)
}

// AddRegistryTo adds the flags of commands that speak to registries.
func (c *Common) AddRegistryTo(flags *pflag.FlagSet) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.DurationVar(&c.Stall, "stall-timeout", 30*time.Second, "cut and resume a request after `DURATION` without a byte")
	set.DurationVar(&c.MaxWait, "max-wait", 10*time.Minute, "`DURATION` of the longest wait that a registry may ask for")
	set.IntVar(&c.Retries, "retries", 8, "try one operation `N` times without progress in between")
	set.IntVar(&c.Concurrency, "concurrency", 32, "at most `N` blobs in flight")
	set.Var(&c.Bandwidth, "bandwidth", "send at most this `SIZE` of blobs a second, to all registries together: 200MiB")
	set.BoolVar(&c.PlainHTTP, "plain-http", false, "speak http to every registry of this command")
	set.StringVar(&c.CaFile, "ca-file", "", "trust the certificates in this PEM `FILE` too")
	set.BoolVar(&c.Insecure, "insecure", false, "do not verify TLS certificates")
	set.StringVar(&c.SrcCreds, "src-creds", "", "login at the source, `USER[:PASS]` or :TOKEN (default $DRAY_SRC_CREDS)")
	set.StringVar(&c.DstCreds, "dst-creds", "", "login at the target, `USER[:PASS]` or :TOKEN (default $DRAY_DST_CREDS)")
	inGroup(set, RegistryFlags)
	flags.AddFlagSet(set)
}

func inGroup(flags *pflag.FlagSet, name string) {
	flags.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{GroupKey: {name}} })
}

// AtServer is the heading of flags about the server that a command speaks to.
const AtServer = "Server"

// AddServerTo adds the flag of all that can speak to a server.
func (c *Common) AddServerTo(flags *pflag.FlagSet) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.StringVar(&c.Server, "server", "", "do it at the dray server at this `URL` (default $DRAY_SERVER, else the configuration's client)")
	inGroup(set, AtServer)
	flags.AddFlagSet(set)
}

// AddHandOverTo adds the flags of verbs that a server can carry out.
func (c *Common) AddHandOverTo(flags *pflag.FlagSet) {
	if flags.Lookup("server") == nil {
		c.AddServerTo(flags)
	}
	if flags.Lookup("no-wait") != nil {
		return
	}
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.BoolVar(&c.NoWait, "no-wait", false, "with a server: print the job's id and leave it to it")
	inGroup(set, AtServer)
	flags.AddFlagSet(set)
}
