package cli

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
		as    format
		value any
		want  string
	}{
		{formatTSV, value, "left out of tables\t\tv1\tNone\tTrue\t12345678901\t2\nv2-long-name\tb\n"},
		{formatTable, value, "Name          On    Size         Note\n------------  ----  -----------  ------\nv1            True  12345678901\nv2-long-name                     b\n"},
		{formatTable, [][]string{{"a", "b"}}, "Column1    Column2\n---------  ---------\na          b\n"},
		{formatTSV, []bool{true}, "true\n"},
		{formatTSV, "one\ttwo\n", "one two \n"},
		{formatTable, []string{}, ""},
		{formatJSON, []string{"<a&b>"}, "[\n  \"<a&b>\"\n]\n"},
		{formatJSON, nil, ""},
		{formatNone, value, ""},
	} {
		var out bytes.Buffer
		if err := printAz(&out, tt.as, nil, tt.value); err != nil || out.String() != tt.want {
			t.Errorf("%s: %v\ngot  %q\nwant %q", tt.as, err, out.String(), tt.want)
		}
	}
}
