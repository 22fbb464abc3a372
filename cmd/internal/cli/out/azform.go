package out

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/drayage/dray/cmd/internal/cli/query"
	"github.com/drayage/dray/fault"
)

// azJSON returns v as JSON with its keys in alphabetical order. Each line but the first begins with before.
func azJSON(v any, before string) string {
	within := before + "  "
	var all []string
	brackets := "[]"
	switch v := v.(type) {
	case []any:
		for _, one := range v {
			all = append(all, azJSON(one, within))
		}
	case *query.Object:
		brackets = "{}"
		for _, key := range v.Sorted() {
			value, _ := v.Get(key)
			all = append(all, query.Quote(key, utf8.MaxRune)+": "+azJSON(value, within))
		}
	case string:
		return query.Quote(v, utf8.MaxRune)
	case nil:
		return "null"
	case bool:
		return strconv.FormatBool(v)
	default:
		return query.Number(v)
	}
	if len(all) == 0 {
		return brackets
	}
	return brackets[:1] + "\n" + within + strings.Join(all, ",\n"+within) + "\n" + before + brackets[1:]
}

// azRow returns one line of tsv: the values of an object in the order of its keys, or in that of the query that
// made it. As in az, a list inside the object is printed as its length, and an object inside as nothing.
func azRow(v any) string {
	var cells []string
	switch v := v.(type) {
	case *query.Object:
		keys := v.Sorted()
		if v.Made {
			keys = v.Keys()
		}
		for _, key := range keys {
			value, _ := v.Get(key)
			cells = append(cells, azCell(value))
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
	case []any:
		return strconv.Itoa(len(v))
	case *query.Object:
		return ""
	case string:
		return OneLine(v)
	}
	return query.Number(v)
}

// azTable writes a table as az does: a column for each plain value, with its key, capitalized, as the title.
// keysOf returns the keys of an object in their order.
func azTable(w io.Writer, rows []any, keysOf func(*query.Object) []string) error {
	var keys []string
	var cells []map[string]string
	for _, row := range rows {
		line := map[string]string{}
		object := azColumns(row)
		for _, key := range keysOf(object) {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
			if value, _ := object.Get(key); value != nil {
				line[key] = azCell(value)
			}
		}
		cells = append(cells, line)
	}
	if len(keys) > 0 {
		return writeColumns(w, keys, cells)
	}
	if len(rows) == 0 {
		return nil
	}
	return &fault.Fault{
		Kind: fault.Invalid,
		Op:   "print",
		Name: "-o table",
		Hint: "use -o json, or --query to choose values",
		Err:  errors.New("no value of the answer fits into a table"),
	}
}

// azColumns returns what a table shows of a row.
func azColumns(row any) *query.Object {
	columns := query.NewObject()
	switch row := row.(type) {
	case []any:
		for i, one := range row {
			switch one.(type) {
			case []any, *query.Object:
				one = azPython(one)
			}
			columns.Set(fmt.Sprintf("Column%d", i+1), one)
		}
	case *query.Object:
		for _, key := range row.Keys() {
			value, _ := row.Get(key)
			switch value.(type) {
			case nil, []any, *query.Object:
				continue
			}
			if key != "id" && key != "type" && key != "etag" {
				columns.Set(key, value)
			}
		}
	default:
		columns.Set("Result", row)
	}
	return columns
}

// azPython returns a value as Python's repr writes it, which is how az prints a list or an object in a row.
func azPython(v any) string {
	switch v := v.(type) {
	case []any:
		var all []string
		for _, one := range v {
			all = append(all, azPython(one))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case *query.Object:
		var all []string
		for _, key := range v.Keys() {
			value, _ := v.Get(key)
			all = append(all, azPython(key)+": "+azPython(value))
		}
		return "{" + strings.Join(all, ", ") + "}"
	case string:
		return "'" + strings.ReplaceAll(v, "'", `\'`) + "'"
	}
	return azCell(v)
}

// writeColumns writes columns with two blanks between them, each at least two wider than its title, as az
// does.
func writeColumns(w io.Writer, keys []string, rows []map[string]string) error {
	titles, rules := map[string]string{}, map[string]string{}
	width := map[string]int{}
	for _, key := range keys {
		if first, n := utf8.DecodeRuneInString(key); n > 0 {
			titles[key] = strings.ToUpper(string(first)) + key[n:]
		}
		width[key] = utf8.RuneCountInString(key) + 2
		for _, row := range rows {
			width[key] = max(width[key], utf8.RuneCountInString(row[key]))
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
