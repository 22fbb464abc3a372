package out

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/drayage/dray/cmd/internal/cli/query"
	"github.com/drayage/dray/cmd/internal/visible"
)

var update = flag.Bool("update", false, "let az's own libraries write the answers into testdata/az/queries.txt")

// queries are the lines of testdata/az/queries.txt: a document, an expression, and on the next line what az
// prints with -o tsv, quoted, or error.
type queries []struct{ document, expression, tsv string }

func readQueries(t *testing.T) (all queries) {
	t.Helper()
	b, err := os.ReadFile("testdata/az/queries.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if answer, ok := strings.CutPrefix(line, "= "); ok {
			all[len(all)-1].tsv = answer
			continue
		}
		document, expression, _ := strings.Cut(line, " ")
		all = append(all, struct{ document, expression, tsv string }{document, expression, ""})
	}
	return all
}

// printed is what dray prints for an expression in a format; "error" if the expression is none or fails.
func printed(t *testing.T, document, expression string, as Format) (stdout, stderr string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata/az", document+".json"))
	if err != nil {
		t.Fatal(err)
	}
	search, err := query.Compile(expression)
	if err != nil {
		return "error", ""
	}
	var out, told bytes.Buffer
	err = (&Console{Out: &out, Err: &told}).PrintAz(as, search, json.RawMessage(raw))
	if err != nil {
		return "error", ""
	}
	return out.String(), told.String()
}

func TestQueriesFindWhatAzFinds(t *testing.T) {
	for _, q := range readQueries(t) {
		got, _ := printed(t, q.document, q.expression, FormatTSV)
		if got != "error" {
			got = strconv.Quote(got)
		}
		want := q.tsv
		if az, err := strconv.Unquote(want); err == nil {
			want = strconv.Quote(visible.Text(az)) // az prints what is not seen as it is
		}
		if got != want {
			t.Errorf("%s %s\ngot  %s\nwant %s", q.document, q.expression, got, want)
		}
	}
}

// judgement is what az prints: its own libraries say so. A form that it cannot print is null.
type judgement struct {
	JSON, TSV, Table, YAML *string
	Error                  bool
}

// judge asks az's own libraries: jmespath and knack, which make clients installs.
func judge(t *testing.T, all queries) []judgement {
	t.Helper()
	python := ""
	for _, one := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(one, "-c", "import jmespath, knack.output, yaml, tabulate").Run() == nil {
			python = one
		}
	}
	if python == "" {
		t.Skip("no python3 with az's jmespath and knack: make clients installs them")
	}
	var in bytes.Buffer
	for _, q := range all {
		if err := json.NewEncoder(&in).Encode([]string{q.document, q.expression}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), python, "-B", "testdata/az/judge.py")
	cmd.Stdin = &in
	b, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Logf("%s", exit.Stderr)
		}
		t.Fatal(err)
	}
	var answers []judgement
	for dec := json.NewDecoder(bytes.NewReader(b)); len(answers) < len(all); {
		var one judgement
		if err := dec.Decode(&one); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, one)
	}
	return answers
}

// differs reports whether dray means to print something else than az. For a table without a column, az prints an
// empty line, and dray nothing or an error. Long lines of YAML are folded by az alone. What is not seen is escaped by
// dray alone, and widens the column of a table.
func differs(as Format, got, az string) bool {
	if strings.Contains(az, "\u2028") {
		words := func(s string) string { return strings.Join(strings.Fields(strings.ReplaceAll(s, "-", "")), " ") }
		return got == visible.Text(az) || as == FormatTable && words(got) == words(visible.Text(az))
	}
	empty := as == FormatTable && az == "\n" && (got == "" || got == "error")
	folded := as == FormatYAML && len(got) > 80 && strings.Join(strings.Fields(got), "") == strings.Join(strings.Fields(az), "")
	return empty || folded
}

func TestAzItselfPrintsTheSameInEveryForm(t *testing.T) {
	all := readQueries(t)
	answers := judge(t, all)
	var file strings.Builder
	for i, q := range all {
		want := answers[i]
		tsv := "error"
		if !want.Error {
			tsv = strconv.Quote(*want.TSV)
		}
		file.WriteString(q.document + " " + q.expression + "\n= " + tsv + "\n")
		for as, form := range map[Format]*string{
			FormatJSON: want.JSON, FormatTSV: want.TSV, FormatTable: want.Table, FormatYAML: want.YAML,
		} {
			expected := "error"
			if form != nil {
				expected = *form
			}
			got, _ := printed(t, q.document, q.expression, as)
			if got != expected && !differs(as, got, expected) {
				t.Errorf("%s %s -o %s\ngot  %q\nwant %q", q.document, q.expression, as, got, expected)
			}
		}
	}
	if *update {
		if err := os.WriteFile("testdata/az/queries.txt", []byte(file.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
