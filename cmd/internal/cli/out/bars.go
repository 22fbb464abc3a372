package out

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const (
	refresh  = 150 * time.Millisecond
	maxLines = 8  // lines of blobs
	barWidth = 24 // columns
	narrow   = 60 // columns; a narrower terminal gets text instead of bars
)

// bars draws a tally on a terminal: a line for each of the oldest blobs in progress, a total, and the hosts
// that the run waits for. For the package mpb this is one bar, with an extension of as many lines as there
// are blobs. Nothing is drawn before the first blob or wait.
type bars struct {
	out   io.Writer
	tally *tally

	mu    sync.Mutex
	drawn *mpb.Progress // nil until something is drawn
	total *mpb.Bar

	now state // set once per frame, by the drawing goroutine of mpb
}

// Write writes other lines, above the bars. While it writes, the drawing does not begin, which writes to the same
// terminal.
func (b *bars) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn == nil {
		return b.out.Write(p)
	}
	return b.drawn.Write(p)
}

// see begins to draw if there is a blob or a wait to show.
func (b *bars) see() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn != nil || !b.tally.visible() {
		return
	}
	b.drawn = mpb.New(mpb.WithOutput(b.out), mpb.ForceTTY(), mpb.WithAutoRefresh(), mpb.WithRefreshRate(refresh))
	total, err := b.drawn.Add(0, mpb.BarFillerFunc(b.sum),
		mpb.BarFillerTrim(), mpb.BarExtender(mpb.BarFillerFunc(b.extend), true))
	if err != nil { // only a container that is closed takes no bar
		b.drawn = nil
		return
	}
	b.total = total
}

// sum writes the line of the total.
func (b *bars) sum(w io.Writer, stat decor.Statistics) error {
	b.now = b.tally.at(time.Now())
	return line(w, stat.AvailableWidth, "total", b.now.done, b.now.total, b.now.progress())
}

// extend writes the lines above the total from the bottom up, as mpb expects them. mpb calls it after it
// has drawn the total of the same frame.
func (b *bars) extend(w io.Writer, stat decor.Statistics) error {
	for _, waiting := range b.now.waiting {
		fmt.Fprintln(w, clip(OneLine(waiting), stat.AvailableWidth))
	}
	for _, blob := range slices.Backward(b.now.blobs[:min(len(b.now.blobs), maxLines)]) {
		name := OneLine(blob.digest[:min(len(blob.digest), len("sha256:")+12)]) // a server has sent it
		far := Size(blob.done) + " of " + Size(blob.total)
		if err := line(w, stat.AvailableWidth, name, blob.done, blob.total, far); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	return nil
}

// line writes a line such as "sha256:0123456789ab [=====>      ] 12 MiB of 45 MiB". The line is cut to the
// width of the terminal, since a line that wraps would break the drawing.
func line(w io.Writer, width int, name string, done, total int64, text string) error {
	if width < narrow {
		_, err := io.WriteString(w, clip(name+" "+text, width))
		return err
	}
	bar := make([]byte, barWidth)
	full := 0
	if total > 0 {
		full = int(float64(barWidth) * min(1, float64(done)/float64(total)))
	}
	for i := range bar {
		switch {
		case i < full:
			bar[i] = '='
		case i == full:
			bar[i] = '>'
		default:
			bar[i] = ' '
		}
	}
	_, err := io.WriteString(w, clip(fmt.Sprintf("%-19s [%s] %s", name, bar, text), width))
	return err
}

// clip cuts s to leave the last column free, since some terminals wrap when it is written.
func clip(s string, width int) string {
	if width < 2 || len(s) < width {
		return s
	}
	return s[:width-1]
}

// end clears the bars and leaves the cursor where they began.
func (b *bars) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn == nil {
		return
	}
	b.total.Abort(true)
	b.drawn.Wait()
	b.drawn = nil
}
