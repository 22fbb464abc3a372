// Bench runs dray and other tools that copy images, between registries in this process, and reports
// which was faster. "make bench" starts it. docs/benchmarks.md explains the workloads and the
// limits of the results.
//
//	go run ./bench -dray bin/dray            quick: up to ten minutes on two cores
//	go run ./bench -dray bin/dray -full      the sizes of the goals: long
//	go run ./bench -dray bin/dray -run W1,W4
//	go run ./bench -dray bin/dray -run kill,kill95
//	go run ./bench -h                        lists the flags and the workloads
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == launchWord {
		os.Exit(launch(os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options holds the values of the flags.
type options struct {
	sizes                 sizes
	full, list            bool
	runs, kills           int
	dray, tools, out, dir string
	run, only             string
	limit, patience       time.Duration
}

func parseFlags(args []string, stderr io.Writer) (options, error) {
	o := options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintln(stderr, "Bench compares dray with other tools that copy images.\n\nFlags:")
		f.PrintDefaults()
		fmt.Fprintln(stderr, "\nWorkloads:")
		printWorkloads(stderr)
	}
	f.StringVar(&o.dray, "dray", "bin/dray", "path of the dray program")
	f.StringVar(&o.tools, "tools", "bench/tools", "directory to search for the peers before PATH")
	f.StringVar(&o.only, "peers", "", "run only these peers: a list of crane,regctl,skopeo,oras")
	f.StringVar(&o.run, "run", "", "run only these workloads, by name: W1,W4,kill")
	f.StringVar(&o.out, "o", "", "write the report here as JSON")
	f.StringVar(&o.dir, "dir", "", "directory for registries on files during a run; "+
		"default is the system's directory for temporary files")
	f.IntVar(&o.runs, "n", 5, "runs of each tool; the median counts")
	f.IntVar(&o.kills, "kills", 5, "how often each tool is killed")
	f.BoolVar(&o.full, "full", false, "use the full sizes, repeat every run, and use long limits")
	f.BoolVar(&o.list, "list", false, "list the workloads and exit")
	f.DurationVar(&o.limit, "limit", 0, "end a tool's run after this time; default 8s, with -full 2m")
	f.DurationVar(&o.patience, "patience", 0, "do not repeat a run that took twice this time, "+
		"or three runs that took this time together; default 500ms, with -full 3m")
	f.Int64Var(&o.sizes.Big, "big", 0, "size of the big layer, in MiB")
	f.Int64Var(&o.sizes.Layer, "layer", 0, "size of each of the twenty layers, in MiB")
	f.Int64Var(&o.sizes.Far, "far", 0, "size of the layer from a far source, in MiB")
	f.Int64Var(&o.sizes.Broken, "broken", 0, "size of each of the four layers whose transfer is cut, in MiB")
	f.IntVar(&o.sizes.Tags, "tags", 0, "number of tags of the repository that is synced")
	f.IntVar(&o.sizes.Many, "many", 0, "number of tags of the large repository that is in sync")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.runs < 1 || f.NArg() > 0 {
		return o, errors.New("-n must be at least 1, and there are no arguments besides flags")
	}
	o.settle()
	return o, nil
}

// settle sets the values of flags that were not given.
func (o *options) settle() {
	z, limit, patience := quick, 8*time.Second, 500*time.Millisecond
	if o.full {
		z, limit, patience = full, 2*time.Minute, 3*time.Minute
	}
	for _, p := range []struct{ to, from *int64 }{
		{&o.sizes.Big, &z.Big},
		{&o.sizes.Layer, &z.Layer},
		{&o.sizes.Far, &z.Far},
		{&o.sizes.Broken, &z.Broken},
	} {
		if *p.to > 0 {
			*p.from = *p.to << 20
		}
		*p.to = *p.from
	}
	o.sizes.Own = z.Own
	if o.sizes.Tags == 0 {
		o.sizes.Tags = z.Tags
	}
	if o.sizes.Many == 0 {
		o.sizes.Many = z.Many
	}
	if o.limit == 0 {
		o.limit = limit
	}
	if o.patience == 0 {
		o.patience = patience
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if o.list {
		printWorkloads(stdout)
		return nil
	}
	chosen, kills, err := choose(o.run)
	if err != nil {
		return err
	}
	b, missing, err := prepare(o)
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	defer b.launcher.close()
	r := report{
		Date:     time.Now().UTC().Truncate(time.Second),
		Command:  args,
		Machine:  b.machine,
		Sizes:    o.sizes,
		Versions: map[string]string{},
		Missing:  missing,
	}
	for _, t := range b.tools {
		r.Versions[t.Peer] = t.Version
	}
	r.head(stdout)
	for _, w := range chosen {
		res, err := b.do(ctx, w)
		if err != nil {
			return err
		}
		res.print(stdout)
		r.Results = append(r.Results, res)
	}
	for _, name := range kills {
		when, layers, runs := random, []int64{20 << 20, 64 << 20}, o.kills
		if name == "kill95" {
			when, layers, runs = late, []int64{o.sizes.Big}, min(2, o.kills)
		}
		some, err := b.killAll(ctx, when, runs, layers...)
		if err != nil {
			return err
		}
		printKills(stdout, some)
		r.Kills = append(r.Kills, some...)
	}
	r.conclude(stdout)
	if o.out != "" {
		return r.write(o.out)
	}
	return nil
}

func printWorkloads(w io.Writer) {
	for _, l := range workloads() {
		fmt.Fprintf(w, "%-6s %s\n", l.Name, l.What)
	}
	fmt.Fprintln(w, "kill   SIGKILL at random points, then a second run")
	fmt.Fprintln(w, "kill95 SIGKILL at 95 % of one big layer, then a second run")
}

// choose returns the workloads with these names. An empty list means all.
func choose(names string) (chosen []workload, kills []string, err error) {
	if names == "" {
		return workloads(), []string{"kill", "kill95"}, nil
	}
	for name := range strings.SplitSeq(names, ",") {
		if name == "kill" || name == "kill95" {
			kills = append(kills, name)
			continue
		}
		i := slices.IndexFunc(workloads(), func(w workload) bool { return strings.EqualFold(w.Name, name) })
		if i < 0 {
			return nil, nil, fmt.Errorf("there is no workload %q (-list shows all)", name)
		}
		chosen = append(chosen, workloads()[i])
	}
	return chosen, kills, nil
}

func prepare(o options) (b *bench, missing []string, err error) {
	for _, p := range []*string{&o.dray, &o.tools} { // each tool runs in its own directory
		if *p, err = filepath.Abs(*p); err != nil {
			return nil, nil, err
		}
	}
	if !executable(o.dray) {
		return nil, nil, fmt.Errorf("%s is not a program (run make build first)", o.dray)
	}
	b = &bench{sizes: o.sizes, runs: o.runs, limit: o.limit, patience: o.patience}
	if b.launcher, err = startLauncher(); err != nil { // first, while this process is small
		return nil, nil, err
	}
	var only []string
	if o.only != "" {
		only = strings.Split(o.only, ",")
	}
	b.tools, missing = find(o.dray, o.tools, only)
	if b.dir, err = os.MkdirTemp(o.dir, "dray-bench"); err != nil {
		return nil, nil, err
	}
	err = install(b.tools, filepath.Join(b.dir, "tools"))
	if err == nil {
		b.cert, err = certificate()
	}
	if err == nil {
		b.machine, err = measure(b.dir)
	}
	if err != nil {
		os.RemoveAll(b.dir)
		return nil, nil, err
	}
	return b, missing, nil
}

func (r report) head(w io.Writer) {
	fmt.Fprintf(w, "%s  %s, %s, %d cores; sha256 %s/s on one core, disk with fsync %s/s\n",
		r.Date.Format(time.DateTime), r.Machine.OS, r.Machine.Go, r.Machine.Cores,
		human(r.Machine.Hash), human(r.Machine.Disk))
	for _, t := range sorted(r.Versions) {
		fmt.Fprintf(w, "%s %s  ", t, r.Versions[t])
	}
	fmt.Fprintf(w, "\nfar means %s and %d Mbit/s for each connection and direction, TLS 1.3, no slow start, no loss\n",
		far.RTT, far.Rate*8/1e6)
	fmt.Fprintln(w, "by best: wall time divided by that of the fastest peer; "+
		"read, sent: blob bytes divided by those of the image")
}
