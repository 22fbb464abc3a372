package out

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/jmespath/go-jmespath"

	"github.com/drayage/dray/fault"
)

// AzList prints a list item by item, in the formats of az.
type AzList struct {
	w      io.Writer
	format Format
	search *jmespath.JMESPath
	kept   []any // items that are printed at the end, since a table or a query needs all of them
	Shown  int
}

// NewAzList begins a list on w.
func NewAzList(w io.Writer, as Format, search *jmespath.JMESPath) *AzList {
	return &AzList{w: w, format: as, search: search, kept: []any{}}
}

// Show adds one item; text is its line in the format text.
func (l *AzList) Show(item any, text string) error {
	v, err := plain(item)
	if err != nil {
		return err
	}
	l.Shown++
	switch {
	case l.search != nil || l.format == FormatTable:
		l.kept = append(l.kept, v)
		return nil
	case l.format == FormatNone:
		return nil
	case l.format == FormatText:
		_, err = fmt.Fprintln(l.w, OneLine(text))
		return err
	case l.format == FormatTSV:
		_, err = fmt.Fprintln(l.w, azRow(v))
		return err
	}
	before := ",\n  "
	if l.Shown == 1 {
		before = "[\n  "
	}
	b, err := azJSON(v, "  ")
	if err == nil {
		_, err = fmt.Fprintf(l.w, "%s%s", before, b)
	}
	return err
}

// End prints the rest of the list. Do not call it if the list broke off, so that half a list is not valid
// JSON.
func (l *AzList) End() error {
	if l.search != nil || l.format == FormatTable {
		return PrintAz(l.w, l.format, l.search, l.kept)
	}
	if l.format != FormatJSON {
		return nil
	}
	ending := "\n]\n"
	if l.Shown == 0 {
		ending = "[]\n"
	}
	_, err := io.WriteString(l.w, ending)
	return err
}

// PrintAz prints one value, or what a query finds in it. If the query finds nothing, it prints nothing.
func PrintAz(w io.Writer, as Format, search *jmespath.JMESPath, value any) error {
	v, err := plain(value)
	if err == nil && search != nil {
		if v, err = search.Search(v); err != nil {
			err = &fault.Fault{Kind: fault.Invalid, Op: "read", Name: "--query", Err: err}
		}
	}
	if err != nil || v == nil || as == FormatNone {
		return err
	}
	rows, many := v.([]any)
	if !many {
		rows = []any{v}
	}
	switch as {
	case FormatJSON:
		b, err := azJSON(v, "")
		if err == nil {
			_, err = fmt.Fprintf(w, "%s\n", b)
		}
		return err
	case FormatTable:
		return azTable(w, rows)
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(w, azRow(row)); err != nil {
			return err
		}
	}
	return nil
}

// plain turns v into maps, slices and plain values, as JSON has them, so that keys can be sorted and a query
// finds them.
func plain(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(b, &out)
}

func azJSON(v any, prefix string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent(prefix, "  ")
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// azRow returns one line of tsv: the values of an object in the order of its keys. As in az, a list inside
// the object is printed as its length, and an object inside as nothing.
func azRow(v any) string {
	var cells []string
	switch v := v.(type) {
	case map[string]any:
		for _, key := range sortedAny(v) {
			cells = append(cells, azCell(v[key]))
		}
	case []any:
		for _, one := range v {
			cells = append(cells, azCell(one))
		}
	case bool:
		return strconv.FormatBool(v)
	default:
		return azCell(v)
	}
	return strings.Join(cells, "\t")
}

// azCell returns a value as Python's str writes it, since scripts compare with that.
func azCell(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case []any:
		return strconv.Itoa(len(v))
	case map[string]any:
		return ""
	case string:
		return OneLine(v)
	}
	return OneLine(fmt.Sprint(v))
}

// azTable writes a table as az does: a column for each plain value, with its key, capitalized, as the title.
func azTable(w io.Writer, rows []any) error {
	var keys []string
	var cells []map[string]string
	for _, row := range rows {
		line := map[string]string{}
		object, ok := row.(map[string]any)
		if list, isList := row.([]any); isList {
			object, ok = map[string]any{}, true
			for i, one := range list {
				object[fmt.Sprintf("Column%d", i+1)] = one
			}
		}
		if !ok {
			object = map[string]any{"Result": row}
		}
		for _, key := range sortedAny(object) {
			switch object[key].(type) {
			case nil, []any, map[string]any:
				continue
			}
			if key == "id" || key == "type" || key == "etag" {
				continue
			}
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
			line[key] = azCell(object[key])
		}
		cells = append(cells, line)
	}
	if len(keys) == 0 {
		return nil
	}
	return writeColumns(w, keys, cells)
}

// writeColumns writes columns with two blanks between them, each at least two wider than its title, as az
// does.
func writeColumns(w io.Writer, keys []string, rows []map[string]string) error {
	titles, rules := map[string]string{}, map[string]string{}
	width := map[string]int{}
	for _, key := range keys {
		titles[key] = strings.ToUpper(key[:1]) + key[1:]
		width[key] = len(key) + 2
		for _, row := range rows {
			width[key] = max(width[key], len([]rune(row[key])))
		}
		rules[key] = strings.Repeat("-", width[key])
	}
	for _, row := range append([]map[string]string{titles, rules}, rows...) {
		var line strings.Builder
		for _, key := range keys {
			fmt.Fprintf(&line, "%-*s  ", width[key], row[key])
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(line.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

func sortedAny(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
