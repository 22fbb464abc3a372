package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// bench is the state of one run of this program.
type bench struct {
	sizes    sizes
	runs     int
	limit    time.Duration // time limit of one run of a tool
	patience time.Duration // see enough
	tools    []tool
	dir      string
	cert     *tls.Certificate
	machine  machine
	launcher *launcher
}

// machine holds what this computer can do, measured before everything else. Rates are in bytes/s.
type machine struct {
	Cores int    `json:"cores"`
	Hash  int64  `json:"hash"` // sha256 on one core
	Disk  int64  `json:"disk"` // writing a new file, with fsync
	Go    string `json:"go"`
	OS    string `json:"os"`
}

func measure(dir string) (machine, error) {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), OS: runtime.GOOS + "/" + runtime.GOARCH}
	b := noise(1, 64<<20)
	for range 6 { // the best of several runs, since other programs may use the machine too
		begun := time.Now()
		sha256.Sum256(b)
		m.Hash = max(m.Hash, rate(len(b), begun))
	}
	f, err := os.CreateTemp(dir, "disk")
	if err != nil {
		return m, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	begun := time.Now()
	for range 4 {
		if _, err := f.Write(b); err != nil {
			return m, err
		}
	}
	if err := f.Sync(); err != nil {
		return m, err
	}
	m.Disk = rate(4*len(b), begun)
	return m, nil
}

func rate(n int, begun time.Time) int64 { return int64(float64(n) / time.Since(begun).Seconds()) }

// sample is the result of one run of one tool.
type sample struct {
	outcome
	Src, Dst counts
	Carried  int64  // bytes of the files between two registries, if there are any
	Wrong    string // the error of verifying the target after the run; "" is none
}

func (s sample) ok() bool { return s.Failed == "" && !s.Over && s.Wrong == "" }

// content is the source of a workload, which all its runs share.
type content struct {
	workload
	images  []image
	handler http.Handler
	dir     string
}

// do runs every tool on a workload. The tools take turns, so that a busy minute affects all of
// them.
func (b *bench) do(ctx context.Context, w workload) (result, error) {
	r := result{Name: w.Name, What: w.What, Note: w.Note}
	dir, err := os.MkdirTemp(b.dir, w.Name)
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	c := content{workload: w, images: w.Images(b.sizes), dir: dir}
	r.Bytes = c.bytes()
	if w.Bound != nil {
		d, why := w.Bound(w, b.machine, c.moved())
		r.Bound, r.BoundIs = d.Seconds(), why
	}
	if !w.OneHost {
		h, stop, err := open(ctx, w.Src, filepath.Join(dir, "source"))
		if err != nil {
			return r, err
		}
		defer stop()
		setAbilities(h, w)
		if err := put(h, c.images); err != nil {
			return r, err
		}
		c.handler = h
	}
	samples := map[string][]sample{}
	for range b.runs {
		for _, t := range b.tools {
			if err := ctx.Err(); err != nil {
				return r, err
			}
			if !t.can(w) || b.enough(samples[t.Name]) {
				continue
			}
			s, err := b.once(ctx, t, c)
			if err != nil {
				return r, fmt.Errorf("%s: %s: %w", w.Name, t.Name, err)
			}
			samples[t.Name] = append(samples[t.Name], s)
		}
	}
	for _, t := range b.tools {
		if len(samples[t.Name]) > 0 {
			r.Rows = append(r.Rows, summarize(t, w.Verb, samples[t.Name], r.Bytes, max(w.Ends, 1)))
		}
	}
	r.compare()
	return r, ctx.Err()
}

// enough reports whether a tool is not run again. This is so if one run took twice the patience, or
// if three runs together took longer than the patience.
func (b *bench) enough(samples []sample) bool {
	var spent time.Duration
	for _, s := range samples {
		if spent += s.Wall; s.Wall > 2*b.patience {
			return true
		}
	}
	return len(samples) >= 3 && spent > b.patience
}

func setAbilities(h http.Handler, w workload) {
	if s, ok := h.(*store); ok {
		s.bulk, s.refers, s.sparse = w.Bulk, w.Signed, w.Verb == copyPlatform
	}
}

// once runs one tool against an empty target, and verifies the result.
func (b *bench) once(ctx context.Context, t tool, c content) (s sample, err error) {
	dir, err := os.MkdirTemp(c.dir, "run")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	var targets []http.Handler
	var to []*side
	hosts := []string{""} // the source, which is known below
	for i := range max(c.Ends, 1) {
		target, at, stop, err := b.target(ctx, c, filepath.Join(dir, fmt.Sprint("target", i)))
		if err != nil {
			return s, err
		}
		defer stop()
		targets, to, hosts = append(targets, target), append(to, at), append(hosts, at.addr)
	}
	from := to[0]
	if !c.OneHost {
		if from, err = listen(c.tokens(c.handler), c.SrcLink, c.Faults[0], b.cert); err != nil {
			return s, err
		}
		defer from.close()
	}
	hosts[0] = from.addr
	if c.Verb == toFiles || c.Verb == fromFiles {
		return b.carry(t, c, dir, from, to[0], targets[0])
	}
	if s.outcome, err = b.run(t, c.job(dir, hosts...)); err != nil {
		return s, err
	}
	for i, at := range to {
		s.Dst.add(at.counts())
		if s.Failed == "" && !s.Over {
			if err := c.verify(targets[i], t); err != nil {
				s.Wrong = err.Error()
			}
		}
	}
	if !c.OneHost {
		s.Src = from.counts()
	}
	return s, nil
}

// run lets a tool do a job.
func (b *bench) run(t tool, j job) (outcome, error) {
	o, err := t.Commands(t, j)
	if err != nil {
		return outcome{}, err
	}
	o.Env, o.Dir, o.Limit = append(o.Env, environment(j.Dir)...), j.Dir, b.limit
	return b.launcher.run(o)
}

// target opens a registry, stores what the target has before the run, and listens.
func (b *bench) target(
	ctx context.Context, c content, dir string,
) (target http.Handler, at *side, stop func(), err error) {
	target, shut, err := open(ctx, c.Dst, dir)
	if err != nil {
		return nil, nil, nil, err
	}
	setAbilities(target, c.workload)
	var held []image
	switch {
	case c.OneHost:
		held = c.images
	case c.Held != nil:
		held = c.Held(c.images)
	}
	if err = put(target, held); err == nil {
		at, err = listen(c.tokens(target), c.DstLink, c.Faults[1], b.cert)
	}
	if err != nil {
		shut()
		return nil, nil, nil, err
	}
	return target, at, func() { at.close(); shut() }, nil
}

// tokens makes a registry require tokens, if the workload says so.
func (c content) tokens(h http.Handler) http.Handler {
	if c.Bearer {
		return bearer{h}
	}
	return h
}

// verify proves that a target has what the tool had to bring.
func (c content) verify(target http.Handler, t tool) error {
	if c.Verb == copyPlatform {
		return verifyPlatform(target, c.images[0], t.Leaves)
	}
	return verify(target, c.wanted())
}

// moved returns what has to move: of an index, the images of one platform if only these are wanted.
func (c content) moved() []image {
	if c.Verb == copyPlatform {
		return []image{c.images[0].only(wantedPlatform)}
	}
	return c.images
}

// bytes returns the size of what has to move. Files hold a blob once, and each repository of a registry once.
func (c content) bytes() int64 {
	if c.Verb == toFiles || c.Verb == fromFiles {
		return distinct(c.images)
	}
	return size(c.moved())
}

// wanted returns the images that the target must have in the end.
func (c content) wanted() []image {
	out := slices.Clone(c.images)
	if c.To != nil {
		for i := range out {
			out[i] = c.To(out[i])
		}
	}
	return out
}

func (c content) job(dir string, hosts ...string) job {
	j := job{Verb: c.Verb, Hosts: hosts, Dir: dir, Bulk: c.Bulk, Signed: c.Signed,
		TLS: [2]tlsMode{c.SrcLink.TLS, c.DstLink.TLS}}
	if c.OneHost {
		j.TLS[0] = c.DstLink.TLS
	}
	wanted := c.wanted()
	for i, m := range c.images {
		j.Tags = append(j.Tags, m.Repo+":"+m.Tag)
		switch c.Verb {
		case copyImage, copyPlatform:
			j.From, j.To = append(j.From, m.Repo+":"+m.Tag), append(j.To, wanted[i].Repo+":"+wanted[i].Tag)
		case retag:
			j.From, j.New = append(j.From, m.Repo+":"+m.Tag), wanted[i].Tag
		default:
			if !slices.Contains(j.From, m.Repo) {
				j.From, j.To = append(j.From, m.Repo), append(j.To, wanted[i].Repo)
			}
		}
	}
	return j
}

// environment gives a tool an empty home, so that it finds no state of earlier runs and no logins
// of this user.
func environment(dir string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + dir,
		"XDG_STATE_HOME=" + dir,
		"XDG_CONFIG_HOME=" + dir,
		"XDG_CACHE_HOME=" + dir,
		"XDG_DATA_HOME=" + dir,
		"XDG_RUNTIME_DIR=" + dir,
		"DOCKER_CONFIG=" + dir,
		"TMPDIR=" + dir,
	}
}
