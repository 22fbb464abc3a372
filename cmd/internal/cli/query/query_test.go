package query

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func TestAQueryThatFindsNothingSaysWhichKeyNothingHas(t *testing.T) {
	const tags = `[{"name": "v1", "digest": "d1"}, {"name": "v2", "digest": "d2", "lastUpdateTime": "2026"}]`
	for _, tt := range []struct{ expression, value, note string }{
		{"[].nme", tags, `nothing has the key "nme"; there are digest, lastUpdateTime, name`},
		{"[?lastupdatetime < '2026-09-23'].name", tags, `nothing has the key "lastupdatetime"; there are digest, lastUpdateTime, name`},
		{"[].{tag: nme}", tags, `nothing has the key "nme"; there are digest, lastUpdateTime, name`},
		{"name", tags, `"name" is asked of a list: put [] before it to ask each item`},
		{"id", `{"name": "prod"}`, `nothing has the key "id"; there are name`},

		{"[?name=='v3'].digest", tags, ""},
		{"[?lastUpdateTime < '2025'].name", tags, ""}, // one has the key
		{"[?signed==null].name", tags, ""},            // something is found
		{"[].nme", `[]`, ""},
		{"annotations.x", `{"annotations": null}`, ""},
	} {
		q, err := Compile(tt.expression)
		if err != nil {
			t.Fatal(err)
		}
		v, err := Decode([]byte(tt.value))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := q.Search(v)
		if err != nil || answer.Note != tt.note {
			t.Errorf("%s: %v, note %q, want %q", tt.expression, err, answer.Note, tt.note)
		}
	}
}

func TestAnExpressionThatCannotBeReadIsShownFromThereOn(t *testing.T) {
	for expression, want := range map[string]string{
		"[":                           "its end is missing",
		"[?name=='v1' and x=='v2']":   `it cannot be read from "and x=='v2']" on`,
		"[].name]":                    `it cannot be read from "]" on`,
		"[?name==`latest].digest":     "the quote before",
		"[?size > `\"`]":              "neither JSON nor a word",
		"size - `1`":                  "no arithmetic",
		"$.name":                      "no variables",
		"let $x = name in [?a == $x]": "no variables",
	} {
		if _, err := Compile(expression); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", expression, err, want)
		}
	}
}

func TestAFunctionSaysWhatItCannotTake(t *testing.T) {
	for expression, want := range map[string]string{
		"sort_by(@, &x)":    "sort_by() cannot order this array of null and number",
		"length(@[0].x)":    "length() cannot take this number",
		"sum([].y)":         "sum() cannot take this array of string",
		"sort([].x)":        "",
		"size(@)":           "there is no function size()",
		"length(@, @)":      "the number of arguments of length() is 1, not 2",
		"[?x > 'a']":        "a number is compared with a string",
		"contains('a', x)":  "contains() cannot look for this null in a string",
		"max_by(@, &[x,y])": "max_by() cannot order this array of array",
	} {
		q, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		v, _ := Decode([]byte(`[{"x": 1, "y": "a"}, {"y": "b"}]`))
		_, err = q.Search(v)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", expression, err, want)
		}
	}
}

func FuzzSearch(f *testing.F) {
	for _, seed := range []string{"[?a<'b'].{x: y}", "sort_by(@, &a)[::-1]", "`{\"a\": [1]}`.*", "a.b[0][1:2:3] || !c && d", "\"a\\u0041\"", "join('\\'', @)", "["} {
		f.Add(seed)
	}
	v, err := Decode([]byte(`[{"a": "x", "b": [1, 2.5, null, true]}, {"a": "y", "c": {"d": -1}}]`))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(_ *testing.T, expression string) {
		if q, err := Compile(expression); err == nil {
			_, _ = q.Search(v) // it must not panic
		}
	})
}

func TestAQueryThatGrowsEndsWithAnError(t *testing.T) {
	v, err := Decode([]byte(`[{"name": "a", "tags": ["x", "y"]}, {"name": "b", "tags": []}]`))
	if err != nil {
		t.Fatal(err)
	}
	again := func(part string) string { return strings.TrimSuffix(strings.Repeat(part+" | ", 60), " | ") }
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, expression := range []string{
		again("[@, @]"), again("[@, @][]"), again("[@[], @[]][]"), again("{a: @, b: @}"), again("{a: @, b: @}.*"),
		again("[[], []]") + " | " + again("[@, @]"), // all of it is empty
		"'ab' | " + again("join(@, [@, @, @])"),
		again("[@, @]") + " | to_string(@)", again("[@, @]") + " | @ == @", again("[@, @]") + " | contains([@], @)",
		again("[@, @]") + " | length(@)", "@ | " + again("map(&[@, @], @)"), again("sort_by([@, @][], &name)"),
	} {
		q, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Search(v); err == nil || !strings.Contains(err.Error(), "too many values") {
			t.Errorf("%.60s: %v", expression, err)
		}
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 256<<20 {
		t.Errorf("the heap grows by %d MiB", grown>>20)
	}
	if _, err := Compile(strings.Repeat("a.", maxExpression/2) + "a"); err == nil {
		t.Error("a query of 16 KiB is read")
	}
}

func TestALargeAnswerIsWithinTheLimit(t *testing.T) {
	var rows []any
	for i := range 200_000 {
		row := NewObject()
		row.Set("name", strconv.Itoa(i))
		row.Set("size", int64(i))
		rows = append(rows, row)
	}
	for _, expression := range []string{
		"reverse(sort_by([?contains(name, '7')].{n: name, s: size, t: to_string(size)}, &s))[:10]",
		"[].[name, size, name][]", "[?name=='5' || name=='6' || name=='7'].name | join(',', @)", "[*].name | [::-1] | sort(@) | [0]",
	} {
		q, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Search(rows); err != nil {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestTheStepOfASliceMayBeAnyNumber(t *testing.T) {
	v, _ := Decode([]byte(`[1, 2, 3]`))
	for expression, want := range map[string]string{
		"[1::9223372036854775807]": "[2]", "[::-9223372036854775807]": "[3]", "[::2]": "[1,3]", "[::-3]": "[3]",
	} {
		q, err := Compile(expression)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := q.Search(v); err != nil || compact(answer.Value) != want {
			t.Errorf("%s: %v, %v, want %s", expression, answer.Value, err, want)
		}
	}
}
