package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// killed holds what a tool sends again in a second run after it was killed by SIGKILL. The target
// is distribution on files, which keeps interrupted uploads. All sizes are in bytes.
type killed struct {
	What      string  `json:"what"`
	Tool      string  `json:"tool"`
	Image     int64   `json:"image"`
	Runs      int     `json:"runs"`
	At        []int64 `json:"at"`        // had arrived when the run was killed
	SentTwice []int64 `json:"sentTwice"` // arrived more than once, in both runs together
	ReadAgain []int64 `json:"readAgain"` // read by the second run beyond what had not arrived
	Lost      []int64 `json:"lost"`      // read by the first run and not arrived: it was in memory or on the network
	Failed    string  `json:"failed,omitempty"`
}

// slow gives enough time to kill a tool: 2 ms and 100 MB/s for each connection.
var slow = link{RTT: 2 * time.Millisecond, Rate: 100 << 20}

// deaths says at which points of a copy a tool is killed.
type deaths struct {
	what string
	at   func() float64 // the next point, as a fraction of the bytes of the image
}

// random returns the same points for every tool.
func random() deaths {
	points := rand.New(rand.NewPCG(1, 2)) // the points must be the same in each run
	return deaths{"at random points", func() float64 { return 0.05 + 0.9*points.Float64() }}
}

func late() deaths { return deaths{"at 95 %", func() float64 { return 0.95 }} }

// killAll kills each tool runs times while it copies an image with these layers.
func (b *bench) killAll(ctx context.Context, when func() deaths, runs int, layers ...int64) ([]killed, error) {
	m := image{Repo: repo, Tag: "v1", Blobs: map[string][]byte{}}
	var data [][]byte
	for i, n := range layers {
		data = append(data, noise(uint64(5000+i), n))
	}
	m.child("amd64", 1, data...)
	source := newStore(keep)
	if err := put(source, []image{m}); err != nil {
		return nil, err
	}
	c := content{
		workload: workload{Verb: copyImage, Dst: "dist", SrcLink: slow, DstLink: slow},
		images:   []image{m},
		handler:  source,
		dir:      b.dir,
	}
	var out []killed
	for _, t := range b.tools {
		if !t.can(c.workload) {
			continue
		}
		points := when()
		k := killed{What: points.what, Tool: t.Name, Image: size(c.images)}
		for range runs {
			at := int64(points.at() * float64(k.Image))
			if err := b.killOnce(ctx, t, c, at, &k); err != nil {
				return out, fmt.Errorf("kill %s: %w", t.Name, err)
			}
		}
		out = append(out, k)
	}
	return out, ctx.Err()
}

// killOnce kills a run as soon as at bytes have arrived, and then runs the tool again to the end.
func (b *bench) killOnce(ctx context.Context, t tool, c content, at int64, k *killed) error {
	dir, err := os.MkdirTemp(c.dir, "kill")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	target, stop, err := open(ctx, c.Dst, filepath.Join(dir, "target"))
	if err != nil {
		return err
	}
	defer stop()
	to, err := listen(target, c.DstLink, faults{}, b.cert)
	if err != nil {
		return err
	}
	defer to.close()
	from, err := listen(c.handler, c.SrcLink, faults{}, b.cert)
	if err != nil {
		return err
	}
	defer from.close()
	o, err := t.Commands(t, c.job(dir, from.addr, to.addr))
	if err != nil {
		return err
	}
	env := slices.Concat(o.Env, environment(dir))
	cmd := exec.CommandContext(ctx, o.Cmds[0][0], o.Cmds[0][1:]...)
	cmd.Env, cmd.Dir = env, dir
	if err := killAt(cmd, to, at); err != nil {
		return err
	}
	arrived, served := settled(to), from.counts().Served
	k.Runs++
	k.At = append(k.At, arrived)
	cmd = exec.CommandContext(ctx, o.Cmds[0][0], o.Cmds[0][1:]...)
	cmd.Env, cmd.Dir = env, dir
	if said, err := cmd.CombinedOutput(); err != nil {
		k.Failed = lastLine(string(said), err)
		return nil
	}
	if err := verify(target, c.images); err != nil {
		k.Failed = err.Error()
		return nil
	}
	k.SentTwice = append(k.SentTwice, to.counts().Uploaded-k.Image)
	k.ReadAgain = append(k.ReadAgain, from.counts().Served-served-(k.Image-arrived))
	k.Lost = append(k.Lost, served-arrived)
	return nil
}

// killAt runs cmd, and kills it as soon as at bytes have arrived at s, unless it ends before that.
func killAt(cmd *exec.Cmd, s *side, at int64) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // the second run shows what the first one left undone
	}()
	for s.counts().Uploaded < at {
		select {
		case <-ended:
			return nil
		case <-time.After(time.Millisecond):
		}
	}
	_ = cmd.Process.Kill()
	<-ended
	return nil
}

// settled returns how many bytes arrived at s, after nothing has arrived for 300 ms. Bytes that
// were on the way still arrive.
func settled(s *side) int64 {
	for last := int64(-1); ; {
		now := s.counts().Uploaded
		if now == last {
			return now
		}
		last = now
		time.Sleep(300 * time.Millisecond)
	}
}

func printKills(w io.Writer, kills []killed) {
	if len(kills) == 0 {
		return
	}
	fmt.Fprintf(w, "\nK  SIGKILL %s in the copy of %s to distribution on files, then a second run\n",
		kills[0].What, human(kills[0].Image))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "tool\tn\thad arrived\tsent twice: median\tlargest\t"+
		"read again: median\tlargest\tlost on the way: median\tlargest\t")
	for _, k := range kills {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			k.Tool, k.Runs, middle(k.At), middle(k.SentTwice), most(k.SentTwice),
			middle(k.ReadAgain), most(k.ReadAgain), middle(k.Lost), most(k.Lost), k.Failed)
	}
	_ = t.Flush() // printed for a person; -o writes the report
}

func middle(all []int64) string {
	if len(all) == 0 {
		return "-"
	}
	all = slices.Sorted(slices.Values(all))
	return human(all[len(all)/2])
}

func most(all []int64) string {
	if len(all) == 0 {
		return "-"
	}
	return human(slices.Max(all))
}
