package flag

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/out"
	"github.com/drayage/dray/cmd/internal/config"
	"github.com/drayage/dray/credential"
)

// Common holds the values of the flags that many commands share: those that every command has, those
// about registries, and those about a dray server. A command that lacks one of the flags leaves its
// value at zero.
type Common struct {
	Config      string
	Stall       time.Duration
	FirstByte   time.Duration
	MaxWait     time.Duration
	Retries     int
	Concurrency int
	Bandwidth   perSecond

	IncludeForeign Switch // copy foreign layers
	Via            via
	AcceptUnseen   bool // let Azure import images that cannot be seen from here
	Images         int  // images in flight; 0 means the default of package dray
	PlainHTTP      bool
	Insecure       bool
	CaFile         string
	SrcCreds       string
	Server         string // "" leaves it to the environment and the configuration
	NoWait         bool
	DstCreds       string
}

// perSecond is the value of a flag that limits bytes per second; 0 means no limit.
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
		return errors.New("0 would send nothing")
	}
	*p = perSecond(n)
	return nil
}

// AddTo adds the flags that every command has.
func (c *Common) AddTo(flags *pflag.FlagSet, h *out.How) {
	h.Format = out.FormatText
	Group(flags, EveryCommand, func(set *pflag.FlagSet) {
		set.VarP(&h.Format, "output", "o", "format of the answer on stdout")
		set.BoolVarP(&h.Quiet, "quiet", "q", false, "print only errors on stderr")
		set.BoolVarP(&h.Verbose, "verbose", "v", false, "print every event on stderr")
		set.BoolVar(&h.Debug, "debug", false, "print every HTTP request on stderr: method, URL, status, bytes, time")
		set.BoolVar(&h.NoProgress, "no-progress", false, "print no progress bars and no progress lines")
		set.StringVar(&c.Config, "config", "",
			"read the configuration from `FILE` "+
				"(default $DRAY_CONFIG, else dray/config.yaml in $XDG_CONFIG_HOME or ~/.config)")
	})
}

// Traffic says what a command does at registries. It decides which of the flags about registries the
// command has: a flag without an effect on a command is not one of its flags.
type Traffic uint

const (
	// Asks is for a command that sends requests, but uses no login of the flags and no blobs.
	Asks Traffic = 0

	// AtSource is for a command that logs in at the source, or that reads at its only registry.
	AtSource Traffic = 1 << iota

	// AtTarget is for a command that logs in at the target, or that writes at its only registry.
	AtTarget

	// ReadsBlobs is for a command that transfers many blobs at once, in either direction.
	ReadsBlobs

	// SendsBlobs is for a command that uploads blobs.
	SendsBlobs

	// Plans is for a command that looks at both sides and writes nothing.
	Plans = AtSource | AtTarget | ReadsBlobs

	// Copies is for a command that copies images.
	Copies = Plans | SendsBlobs
)

// AddRegistryTo adds the flags about registries that do something in a command with traffic t.
func (c *Common) AddRegistryTo(flags *pflag.FlagSet, t Traffic) {
	Group(flags, Registries, func(set *pflag.FlagSet) {
		c.addLogins(set, t)
		if t&SendsBlobs != 0 {
			set.Var(&c.Bandwidth, "bandwidth",
				"upload blobs at no more than `SIZE` per second to all registries together, such as 200MiB (default no limit)")
		}
		if t&SendsBlobs != 0 {
			c.AddForeignTo(set)
		}
		if t&ReadsBlobs != 0 {
			set.IntVar(&c.Concurrency, "concurrency", 32, "transfer at most `N` blobs at once")
		}
		set.IntVar(&c.Retries, "retries", 8, "give up an operation after `N` tries without progress")
		set.DurationVar(&c.Stall, "stall-timeout", 30*time.Second,
			"end a request that transfers no byte for `DURATION`, and resume it")
		set.DurationVar(&c.FirstByte, "first-byte-timeout", 0,
			"end a request whose answer has not begun after `DURATION`, and try again with twice the time, up to 5m "+
				"(default that of --stall-timeout)")
		set.DurationVar(&c.MaxWait, "max-wait", 10*time.Minute,
			"if a registry asks to wait, wait at most `DURATION`; fail if it asks for more")
		c.addCAFile(set)
		set.BoolVar(&c.Insecure, "insecure", false, "do not verify TLS certificates")
		set.BoolVar(&c.PlainHTTP, "plain-http", false, "use HTTP instead of HTTPS for every registry of this command")
	})
}

// AddForeignTo adds the flag that copies foreign layers, for a command that copies blobs and sends them to no registry.
func (c *Common) AddForeignTo(set *pflag.FlagSet) {
	set.Var(&c.IncludeForeign, "include-foreign",
		"copy foreign layers too, which a manifest lists by the URLs of their publisher, from these URLs")
	set.Lookup("include-foreign").NoOptDefVal = "true"
}

// AddViaTo adds the flag that says who brings images to registries of Azure, for a command that copies images from
// registries.
func (c *Common) AddViaTo(flags *pflag.FlagSet) {
	Group(flags, Registries, func(set *pflag.FlagSet) {
		set.Var(&c.Via, "via", "let `WHO` bring images to registries of Azure: dray copies them, azure imports them "+
			"itself, auto lets Azure import what it can (default azure.via of the registry, else dray)")
	})
}

// AddUnseenTo adds the flag for images that only Azure can see, for a command that names images.
func (c *Common) AddUnseenTo(flags *pflag.FlagSet) {
	Group(flags, Registries, func(set *pflag.FlagSet) {
		set.BoolVar(&c.AcceptUnseen, "accept-unseen", false, "with --via azure or auto: if the source cannot be seen from "+
			"here, let Azure import the image by its tag; what arrives is looked at, but not compared with the source")
	})
}

// via is the value of --via; "" means that it was not given.
type via string

func (v *via) Type() string { return "WHO" }

func (v *via) String() string { return string(*v) }

func (v *via) Set(s string) error {
	if !credential.Via(s).Known() {
		return errors.New("not dray, azure or auto")
	}
	*v = via(s)
	return nil
}

// AddLoginsTo adds the flags for the logins at source and target alone, for a command that only hands
// them on.
func (c *Common) AddLoginsTo(flags *pflag.FlagSet) {
	Group(flags, Registries, func(set *pflag.FlagSet) { c.addLogins(set, AtSource|AtTarget) })
}

func (c *Common) addLogins(set *pflag.FlagSet, t Traffic) {
	source, target := "login at the source", "login at the target"
	if t&(AtSource|AtTarget) != AtSource|AtTarget {
		source, target = "login at the registry", "login at the registry"
	}
	add := func(value *string, name, at, variable string) {
		set.StringVar(value, name, "",
			at+": `USER[:PASS]` or :TOKEN (default $"+variable+"); a password here is visible to "+
				"other processes, so prefer USER alone (dray then asks for the password), the variable, or dray login")
	}
	if t&AtSource != 0 {
		add(&c.SrcCreds, "src-creds", source, "DRAY_SRC_CREDS")
	}
	if t&AtTarget != 0 {
		add(&c.DstCreds, "dst-creds", target, "DRAY_DST_CREDS")
	}
}

func (c *Common) addCAFile(set *pflag.FlagSet) {
	set.StringVar(&c.CaFile, "ca-file", "", "also trust the certificates in this PEM `FILE`")
}

// Password is the text of the flag --password; instead names the safer ways that the command has.
func Password(instead string) string {
	return "the `PASSWORD` of the user, or a token if no user is given; " +
		"it is visible to other processes of this machine and in the shell's history, so prefer " + instead
}

// AddServerTo adds the flag of every command that talks to a dray server.
func (c *Common) AddServerTo(flags *pflag.FlagSet) {
	c.addServerTo(flags, "use the dray server at")
	Group(flags, AtServer, c.addCAFile)
}

func (c *Common) addServerTo(flags *pflag.FlagSet, use string) {
	Group(flags, AtServer, func(set *pflag.FlagSet) {
		set.StringVar(&c.Server, "server", "",
			use+" `URL` (default $DRAY_SERVER, else client.server of the configuration)")
	})
}

// AddNoWaitTo adds the flag of every command that starts a job at a server.
func (c *Common) AddNoWaitTo(flags *pflag.FlagSet) {
	Group(flags, AtServer, func(set *pflag.FlagSet) {
		set.BoolVar(&c.NoWait, "no-wait", false,
			"with a server: print the id of the job and do not wait for it; has no effect without a server")
	})
}

// AddHandOverTo adds the flags of commands that a server can carry out.
func (c *Common) AddHandOverTo(flags *pflag.FlagSet) {
	c.addServerTo(flags, "run this command at the dray server at")
	c.AddNoWaitTo(flags)
}

// Switch is a boolean flag that leaves the choice to the configuration if it is not given.
type Switch struct{ given, on bool }

// Or returns the value of the flag, or def if it was not given.
func (s Switch) Or(def bool) bool { return s.given && s.on || !s.given && def }

// Given returns the value of the flag; nil if it was not given.
func (s Switch) Given() *bool {
	if !s.given {
		return nil
	}
	return &s.on
}

// Set implements [pflag.Value].
func (s *Switch) Set(text string) (err error) {
	s.given = true
	s.on, err = strconv.ParseBool(text)
	return err
}

// String implements [pflag.Value].
func (s *Switch) String() string { return strconv.FormatBool(s.on) }

// Type implements [pflag.Value].
func (s *Switch) Type() string { return "bool" }
