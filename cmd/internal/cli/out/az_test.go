package out

import (
	"bytes"
	"testing"
)

func TestTablesAndRowsAreThoseOfAz(t *testing.T) {
	type inner struct {
		A int `json:"a"`
	}
	value := []any{
		map[string]any{"name": "v1", "size": 12345678901, "on": true, "none": nil, "tags": []string{"x", "y"}, "in": inner{1}, "id": "left out of tables"},
		map[string]any{"name": "v2-long-name", "note": "b"},
	}
	for _, tt := range []struct {
		as    Format
		value any
		want  string
	}{
		{FormatTSV, value, "left out of tables\t\tv1\tNone\tTrue\t12345678901\t2\nv2-long-name\tb\n"},
		{FormatTable, value, "Name          On    Size         Note\n------------  ----  -----------  ------\nv1            True  12345678901\nv2-long-name                     b\n"},
		{FormatTable, [][]string{{"a", "b"}}, "Column1    Column2\n---------  ---------\na          b\n"},
		{FormatTSV, []bool{true}, "true\n"},
		{FormatTSV, "one\ttwo\n", "one two \n"},
		{FormatTable, []string{}, ""},
		{FormatJSON, []string{"<a&b>"}, "[\n  \"<a&b>\"\n]\n"},
		{FormatJSON, nil, ""},
		{FormatNone, value, ""},
	} {
		var out bytes.Buffer
		if err := (&Console{Out: &out}).PrintAz(tt.as, nil, tt.value); err != nil || out.String() != tt.want {
			t.Errorf("%s: %v\ngot  %q\nwant %q", tt.as, err, out.String(), tt.want)
		}
	}
}
