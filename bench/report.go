package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// tie is the largest difference of two medians, as a fraction of the smaller one, that counts as
// equal.
const tie = 0.15

// report is what -o writes. Times are in seconds, memory in bytes.
type report struct {
	Date     time.Time         `json:"date"`
	Command  []string          `json:"command"`
	Machine  machine           `json:"machine"`
	Sizes    sizes             `json:"sizes"`
	Versions map[string]string `json:"versions"`
	Missing  []string          `json:"missing"` // tools that are not installed
	Results  []result          `json:"results"`
	Kills    []killed          `json:"kills,omitempty"`
}

// result is the result of one workload.
type result struct {
	Name    string  `json:"name"`
	What    string  `json:"what"`
	Bytes   int64   `json:"bytes"`           // of distinct blobs
	Bound   float64 `json:"bound,omitempty"` // in seconds; 0 if there is no useful bound
	BoundIs string  `json:"boundIs,omitempty"`
	Rows    []row   `json:"rows"`
	Verdict string  `json:"verdict"` // dray wins, ties, loses or fails, or runs alone
	Best    string  `json:"best"`    // the fastest peer
	// The same for the fastest peer that verifies what it copies, if Best does not.
	VerdictVerifying string `json:"verdictVerifying,omitempty"`
	BestVerifying    string `json:"bestVerifying,omitempty"`
	Note             string `json:"note,omitempty"`
}

// row is the result of one tool: medians of its successful runs. Counts are those of the median
// run.
type row struct {
	Tool    string    `json:"tool"`
	Peer    string    `json:"peer"`             // the program
	Trusts  bool      `json:"trusts,omitempty"` // it does not verify what it copies here
	Runs    int       `json:"runs"`
	Wall    float64   `json:"wall"`
	Walls   []float64 `json:"walls"`
	CPU     float64   `json:"cpu"`
	RSS     int64     `json:"rss"` // the largest of all runs
	Src     counts    `json:"source"`
	Dst     counts    `json:"target"`
	Read    float64   `json:"read"`              // bytes of blobs that the source served, divided by the bytes of the image
	Sent    float64   `json:"sent"`              // bytes of uploads that arrived, divided by the bytes of the image
	Carried int64     `json:"carried,omitempty"` // bytes of the files between two registries
	ToBest  float64   `json:"toBestPeer,omitempty"`
	ToBound float64   `json:"toBound,omitempty"`
	Failed  string    `json:"failed,omitempty"` // why runs failed; Wall is then that of the successful runs, or 0 if there is none
	Over    bool      `json:"over,omitempty"`   // ended at the time limit
	Bad     int       `json:"bad,omitempty"`    // number of failed runs
}

func summarize(t tool, v verb, samples []sample, bytes int64, ends int) row {
	r := row{Tool: t.Name, Peer: t.Peer, Trusts: slices.Contains(t.Trusts, v), Runs: len(samples)}
	var good []sample
	for _, s := range samples {
		r.RSS = max(r.RSS, s.RSS)
		if s.ok() {
			good = append(good, s)
			continue
		}
		r.Bad++
		r.Over = r.Over || s.Over
		r.Failed = cmp.Or(r.Failed, s.Wrong, s.Failed)
	}
	show := good
	if len(show) == 0 {
		show = samples
	}
	slices.SortFunc(show, func(a, b sample) int { return cmp.Compare(a.Wall, b.Wall) })
	mid := show[(len(show)-1)/2]
	r.Src, r.Dst, r.CPU, r.Carried = mid.Src, mid.Dst, mid.CPU.Seconds(), mid.Carried
	if bytes > 0 {
		r.Read, r.Sent = float64(mid.Src.Served)/float64(bytes), float64(mid.Dst.Uploaded)/float64(bytes*int64(ends))
	}
	if len(good) > 0 {
		r.Wall = mid.Wall.Seconds()
		if n := len(show); n%2 == 0 {
			r.Wall = (show[n/2-1].Wall + show[n/2].Wall).Seconds() / 2
		}
	}
	for _, s := range good {
		r.Walls = append(r.Walls, s.Wall.Seconds())
	}
	return r
}

// compare sets the ratios and the verdicts about dray.
func (r *result) compare() {
	best := r.fastest(func(row) bool { return true })
	for i := range r.Rows {
		if r.Rows[i].Wall > 0 && best >= 0 {
			r.Rows[i].ToBest = r.Rows[i].Wall / r.Rows[best].Wall
		}
		if r.Rows[i].Wall > 0 && r.Bound > 0 {
			r.Rows[i].ToBound = r.Rows[i].Wall / r.Bound
		}
	}
	mine := slices.IndexFunc(r.Rows, func(row row) bool { return row.Tool == "dray" })
	if best >= 0 {
		r.Best = r.Rows[best].Tool
	}
	switch {
	case mine < 0:
	case r.Rows[mine].Bad > 0:
		r.Verdict = "dray fails"
	case best < 0 && len(r.Rows) > 1:
		r.Verdict = "dray wins: no peer finished"
	case best < 0:
		r.Verdict = "dray ran alone"
	default:
		r.Verdict = verdict(r.Rows[mine].Wall, r.Rows[best].Wall)
		other := r.fastest(func(row row) bool { return !row.Trusts })
		switch {
		case !r.Rows[best].Trusts:
		case other < 0:
			r.VerdictVerifying = "no peer verifies what it copies here"
		default:
			r.BestVerifying = r.Rows[other].Tool
			r.VerdictVerifying = verdict(r.Rows[mine].Wall, r.Rows[other].Wall)
		}
	}
}

// fastest returns the fastest of the peers that count, or -1.
func (r *result) fastest(counts func(row) bool) int {
	best := -1
	for i, row := range r.Rows {
		if row.Peer != "dray" && row.Wall > 0 && row.Bad == 0 && counts(row) &&
			(best < 0 || row.Wall < r.Rows[best].Wall) {
			best = i
		}
	}
	return best
}

func verdict(mine, best float64) string {
	switch {
	case max(mine, best) <= min(mine, best)*(1+tie):
		return "tie"
	case mine < best:
		return "dray wins"
	}
	return "dray loses"
}

func (r result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s  %s (%s)", r.Name, r.What, human(r.Bytes))
	if r.Bound > 0 {
		fmt.Fprintf(w, "; bound %s: %s", seconds(r.Bound), r.BoundIs)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "tool\tn\twall\tby best\tby bound\tcpu\trss\t"+
		"src req\tdst req\tsrc conn\tdst conn\tread\tsent\tfiles\t")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\t\n",
			row.Tool, row.Runs, row.wall(), ratio(row.ToBest), ratio(row.ToBound), seconds(row.CPU), human(row.RSS),
			row.Src.Requests, row.Dst.Requests, row.Src.Connections, row.Dst.Connections,
			ratio(row.Read), ratio(row.Sent), row.carried())
	}
	_ = t.Flush() // printed for a person; -o writes the report
	for _, row := range r.Rows {
		if row.Bad > 0 && !row.Over {
			fmt.Fprintf(w, "  %s: %d of %d failed: %.160s\n", row.Tool, row.Bad, row.Runs, row.Failed)
		}
	}
	if r.Note != "" {
		fmt.Fprintf(w, "  %s\n", r.Note)
	}
	fmt.Fprintf(w, "  → %s\n", r.Verdict)
	switch {
	case r.BestVerifying != "":
		fmt.Fprintf(w, "  → beside %s: %s; %s does not verify what it copies\n",
			r.BestVerifying, r.VerdictVerifying, r.Best)
	case r.VerdictVerifying != "":
		fmt.Fprintf(w, "  → %s\n", r.VerdictVerifying)
	}
}

func (r row) wall() string {
	switch {
	case r.Over && r.Wall == 0:
		return "over limit"
	case r.Wall == 0:
		return "failed"
	}
	return seconds(r.Wall)
}

func (r row) carried() string {
	if r.Carried == 0 {
		return "-"
	}
	return human(r.Carried)
}

func seconds(s float64) string {
	switch {
	case s == 0:
		return "0"
	case s < 1:
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.2f s", s)
}

func ratio(x float64) string {
	if x == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", x)
}

func human(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", (n+1<<19)>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", (n+1<<9)>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// conclude summarizes what dray won, tied and lost, and which tools were not compared.
func (r report) conclude(w io.Writer) {
	fmt.Fprintln(w, "\nSummary: dray with its defaults compared with the fastest peer with any flags; "+
		"a difference within 15 % is a tie:")
	for _, v := range []string{"dray wins", "tie", "dray loses", "dray fails", "dray ran alone"} {
		var names []string
		for _, res := range r.Results {
			if strings.HasPrefix(res.Verdict, v) {
				names = append(names, res.short())
			}
		}
		if len(names) > 0 {
			fmt.Fprintf(w, "  %-14s %s\n", v, strings.Join(names, ", "))
		}
	}
	if len(r.Missing) > 0 {
		fmt.Fprintf(w, "Not compared because they are not installed (run make bench-tools): %s\n",
			strings.Join(r.Missing, ", "))
	}
}

func (r result) short() string {
	for _, row := range r.Rows {
		if row.Tool == "dray" && row.ToBest > 0 && r.BestVerifying != "" {
			return fmt.Sprintf("%s %.2f×%s (%s beside %s)", r.Name, row.ToBest, r.Best, r.VerdictVerifying, r.BestVerifying)
		}
		if row.Tool == "dray" && row.ToBest > 0 {
			return fmt.Sprintf("%s %.2f×%s", r.Name, row.ToBest, r.Best)
		}
	}
	return r.Name
}

func (r report) write(file string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o644)
}
