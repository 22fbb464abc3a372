package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/drayage/dray/oci"
)

// tour runs a page of docs from its first block to its last in one shell, as a reader who pastes each
// block into a terminal. It compares what each command of a "console" block prints with the page.
//
// A block "sh" must succeed, and its output is not compared. In a block "console", a line that begins
// with "$ " is a command, and the lines up to the next command are its stdout and stderr. A command whose
// line ends with a backslash continues on the next line. Digests, sizes, times, dates, revisions and
// numbers of requests may differ, see variable. A digest that stands twice in the page must be printed
// twice. Each server of the page listens on a free port in place of the page's port.
//
// Each further argument is a page that quotes commands of the first one: what it says that they print is
// compared with the first page. With -update, lines that changed are written back to the pages.
func (s *script) tour(ts *testscript.TestScript, args []string) {
	page := readPage(ts, args[0])
	putDrayOnPath(ts)
	t := readTour(page)
	fromPage, toPage := freePorts(ts, page)
	ts.Check(ts.Exec("sh", "-c", fromPage.Replace(t.shellScript())))
	printed := toPage.Replace(ts.ReadFile("stdout"))
	changed := false
	for i, c := range t.commands {
		head, rest, found := strings.Cut(printed, mark)
		status, rest, _ := strings.Cut(rest, "\n")
		if !found || c.text == "" && status != "0" {
			ts.Fatalf("%s: this command ended the tour (exit code %s):\n%s\n%s", args[0], status, c.input, head)
		}
		printed = rest
		changed = t.check(i, head) || changed
	}
	t.settle(ts, args[0], changed)
	for _, name := range args[1:] {
		quoting := readTour(readPage(ts, name))
		quoting.settle(ts, name, quoting.quote(t))
	}
}

func docsPath(name string) string { return filepath.Join("..", "..", "..", "docs", name) }

func readPage(ts *testscript.TestScript, name string) string {
	raw, err := os.ReadFile(docsPath(name))
	ts.Check(err)
	return string(raw)
}

// mark begins the line that the shell prints after each command. The command's exit code follows it.
const mark = "\x01"

// A tourCommand is a block of sh, or one command of a console block.
type tourCommand struct {
	before string // the page between the end of the command before it and this command
	text   string // the lines of the page that hold the command; "" for a block of sh
	input  string // what the shell reads
	output string // what the page says that it prints
}

// A tourPage is a page in pieces: the commands in order, and what follows the last one.
type tourPage struct {
	commands      []tourCommand
	rest          string
	wanted, given digests
	diff          bytes.Buffer
}

func readTour(page string) *tourPage {
	t := &tourPage{wanted: digests{}, given: digests{}}
	from := 0
	for _, b := range block.FindAllStringSubmatchIndex(page, -1) {
		language, start, end := page[b[2]:b[3]], b[6], b[7]
		switch language {
		case "sh":
			t.commands = append(t.commands, tourCommand{before: page[from:end], input: page[start:end]})
			from = end
		case "console":
			for from < end {
				next := nextCommand.FindStringIndex(page[from:end])
				if next == nil {
					break // the block has no command: it is text of the page
				}
				at := from + next[0]
				c := readCommand(page[from:at], page[at:end])
				t.commands = append(t.commands, c)
				from = at + len(c.text) + len(c.output)
			}
		}
	}
	t.rest = page[from:]
	return t
}

var (
	firstCommand = regexp.MustCompile(`\A\$ (?:.*\\\n)*.*\n`)
	nextCommand  = regexp.MustCompile(`(?m)^\$ `)
)

// readCommand reads the command at the beginning of text, and its output.
func readCommand(before, text string) tourCommand {
	c := tourCommand{before: before, text: firstCommand.FindString(text)}
	c.output = text[len(c.text):]
	if at := nextCommand.FindStringIndex(c.output); at != nil {
		c.output = c.output[:at[0]]
	}
	c.input = strings.TrimPrefix(c.text, "$ ")
	return c
}

// shellScript runs all commands in one shell, so that variables, background jobs and $? pass from one to
// the next. The reader's make is replaced: the script of this test made the image.
func (t *tourPage) shellScript() string {
	var b strings.Builder
	b.WriteString("exec 2>&1\nmake() { :; }\ntrap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n")
	for _, c := range t.commands {
		if c.text == "" {
			fmt.Fprintf(&b, "set -e\n%sset +e\n", c.input)
		} else {
			b.WriteString(c.input)
		}
		fmt.Fprintf(&b, "status=$?; printf '\\001%%s\\n' $status; (exit $status)\n")
	}
	return b.String()
}

// check compares what the command i printed with the page. If they differ, it records the difference,
// puts what was printed into the page and returns true.
func (t *tourPage) check(i int, printed string) (changed bool) {
	c := &t.commands[i]
	if c.text == "" {
		return false
	}
	want, got := t.wanted.plain(c.output), t.given.plain(printed)
	if want == got {
		return false
	}
	fmt.Fprintf(&t.diff, "%s--- the page says\n%s+++ it prints\n%s", c.text, want, got)
	c.output = t.merge(c.output, printed)
	return true
}

// merge returns what was printed as the page would say it: with the digests of the page, and with its
// sizes, times and counts wherever a line of the page has as many of them.
func (t *tourPage) merge(old, printed string) string {
	back := make([]string, 0, 2*len(t.given))
	for digest, n := range t.given {
		if page, found := t.wanted.of(n); found {
			back = append(back, digest, page)
		}
	}
	was := strings.SplitAfter(old, "\n")
	var b strings.Builder
	for i, line := range strings.SplitAfter(strings.NewReplacer(back...).Replace(printed), "\n") {
		same := func(other string) bool { return blank(other) == blank(line) }
		if at := slices.IndexFunc(was, same); at >= 0 {
			line = was[at]
		} else if i < len(was) {
			line = withVariables(line, variable.FindAllString(was[i], -1))
		}
		b.WriteString(line)
	}
	return b.String()
}

// quote compares the commands of t with the same commands of the page from. If their output differs, it puts
// the output of from into t and returns true.
func (t *tourPage) quote(from *tourPage) (changed bool) {
	for i, c := range t.commands {
		at := slices.IndexFunc(from.commands, func(o tourCommand) bool { return o.text == c.text })
		switch {
		case c.text == "":
		case at < 0:
			fmt.Fprintf(&t.diff, "this command is not in the tour:\n%s", c.text)
			changed = true
		case from.commands[at].output != c.output:
			fmt.Fprintf(&t.diff, "%s--- the page says\n%s+++ the tour says\n%s", c.text, c.output, from.commands[at].output)
			t.commands[i].output = from.commands[at].output
			changed = true
		}
	}
	return changed
}

// settle fails the test if the page changed. With -update it writes the page instead.
func (t *tourPage) settle(ts *testscript.TestScript, name string, changed bool) {
	switch {
	case changed && *update:
		ts.Check(os.WriteFile(docsPath(name), []byte(t.page()), 0o644))
	case changed:
		ts.Fatalf("%s does not say what its commands print (go test ./cmd/internal/cli -run TestScripts/paper_tour -update rewrites it):\n%s", name, t.diff.String())
	}
}

func (t *tourPage) page() string {
	var b strings.Builder
	for _, c := range t.commands {
		b.WriteString(c.before + c.text)
		if c.text != "" {
			b.WriteString(c.output)
		}
	}
	return b.String() + t.rest
}

// digests numbers digests in the order in which they appear.
type digests map[string]string

var (
	digest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	blanks = regexp.MustCompile(`[ \t]+`)
	// variable is what differs from run to run: sizes, times, dates, revisions, numbers of requests.
	variable = regexp.MustCompile(`\b\d+(?:\.\d+)? (?:B|KiB|MiB|GiB|ms|s|requests?)\b|\b\d{4}-\d\d-\d\dT[0-9:.]+Z|revision=\S+`)
)

// plain returns text with a number in place of each digest, and as blank returns it.
func (d digests) plain(text string) string {
	return blank(digest.ReplaceAllStringFunc(text, func(name string) string {
		if d[name] == "" {
			d[name] = "sha256:" + strconv.Itoa(len(d)+1)
		}
		return d[name]
	}))
}

// of returns the digest that has the number n.
func (d digests) of(n string) (string, bool) {
	for name, number := range d {
		if number == n {
			return name, true
		}
	}
	return "", false
}

// blank returns text with a sign in place of whatever differs from run to run, and with one blank in place of
// several, because the width of columns differs, too.
func blank(text string) string {
	return blanks.ReplaceAllString(variable.ReplaceAllString(text, "N"), " ")
}

// withVariables returns line with values in place of whatever differs from run to run, if there are as many of
// them. Otherwise it returns line unchanged.
func withVariables(line string, values []string) string {
	if len(variable.FindAllString(line, -1)) != len(values) {
		return line
	}
	i := -1
	return variable.ReplaceAllStringFunc(line, func(string) string { i++; return values[i] })
}

var listens = regexp.MustCompile(`--listen 127\.0\.0\.1:(\d+)`)

// freePorts finds a free port for each port on which the page lets a server listen. fromPage replaces the ports
// of the page by the free ones, and toPage replaces the free ones by those of the page.
func freePorts(ts *testscript.TestScript, page string) (fromPage, toPage *strings.Replacer) {
	var from, to []string
	for _, m := range listens.FindAllStringSubmatch(page, -1) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close()
		_, free, err := net.SplitHostPort(l.Addr().String())
		ts.Check(err)
		from, to = append(from, ":"+m[1], ":"+free), append(to, ":"+free, ":"+m[1])
	}
	return strings.NewReplacer(from...), strings.NewReplacer(to...)
}

// release writes an image with the shape of the release image (make image) into an OCI image layout: two
// platforms that share a layer, with annotations. Its layers hold a few bytes only.
func (s *script) release(ts *testscript.TestScript, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755))
	const created = "2026-11-21T00:16:27Z"
	annotations := map[string]string{
		v1.AnnotationTitle: "dray", v1.AnnotationDescription: "Imports, copies and re-tags container images between registries",
		v1.AnnotationLicenses: "Apache-2.0", v1.AnnotationSource: "https://github.com/drayage/dray",
		v1.AnnotationCreated: created, v1.AnnotationRevision: "6376b3d",
	}
	put := func(mediaType string, content any) v1.Descriptor {
		raw, isBytes := content.([]byte)
		if !isBytes {
			var err error
			raw, err = json.Marshal(content)
			ts.Check(err)
		}
		sum := oci.Sum(raw)
		ts.Check(os.WriteFile(filepath.Join(dir, "blobs", "sha256", sum.Encoded()), raw, 0o600))
		return v1.Descriptor{MediaType: mediaType, Digest: sum, Size: int64(len(raw))}
	}
	base := put(v1.MediaTypeImageLayerGzip, []byte("certificates"))
	index := v1.Index{MediaType: v1.MediaTypeImageIndex, Annotations: annotations}
	index.SchemaVersion = 2
	for _, architecture := range []string{"amd64", "arm64"} {
		platform := v1.Platform{OS: "linux", Architecture: architecture}
		at, err := time.Parse(time.RFC3339, created)
		ts.Check(err)
		config := put(v1.MediaTypeImageConfig, v1.Image{Created: &at, Platform: platform})
		m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: config, Annotations: annotations,
			Layers: []v1.Descriptor{base, put(v1.MediaTypeImageLayerGzip, []byte("programs for "+architecture))}}
		m.SchemaVersion = 2
		child := put(v1.MediaTypeImageManifest, m)
		child.Platform = &platform
		index.Manifests = append(index.Manifests, child)
	}
	root := put(v1.MediaTypeImageIndex, index)
	root.Annotations = map[string]string{v1.AnnotationRefName: "latest"}
	list := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{root}}
	list.SchemaVersion = 2
	raw, err := json.Marshal(list)
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "index.json"), raw, 0o600))
	ts.Check(os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600))
}
