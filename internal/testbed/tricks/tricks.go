// Package tricks fills values with text that controls terminals or deceives readers, and finds it in output.
package tricks

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Name has no line break and no blank, but else all that is not seen as itself: it passes where a name is one word.
const Name = "n\x1b[2J\x07\u009b1m\u202e\u2066\u200b\u200d\u2060\ufeff\u00ad\u061c\ufe0f\U000e0041\x7f\u0085"

// Text begins a line of its own in what does not escape it, and a cell.
const Text = Name + "\r\nFORGED line\tFORGED\u2028\u2029\x9b"

// Fill sets every string in what v points to, also in new members of its slices, maps and pointers, to Text. Numbers
// become 1, times the same time, and bools true. deep limits how many values are within each other.
func Fill(v any, deep int) { fill(reflect.ValueOf(v).Elem(), deep) }

func fill(v reflect.Value, deep int) {
	if deep == 0 || !v.CanSet() {
		return
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(Text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, deep-1)
		}
	case reflect.Pointer:
		one := reflect.New(v.Type().Elem())
		fill(one.Elem(), deep-1)
		v.Set(one)
	case reflect.Slice:
		fillSlice(v, deep)
	case reflect.Map:
		key, one := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, deep-1)
		fill(one, deep-1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, one)
	case reflect.Interface:
		if v.Type() == reflect.TypeFor[error]() {
			v.Set(reflect.ValueOf(errors.New(Text)))
		} else if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(Text))
		}
	default: // functions and channels are not printed
	}
}

func fillSlice(v reflect.Value, deep int) {
	if v.Type().Elem().Kind() == reflect.Uint8 { // bytes: JSON, or the text of something
		v.SetBytes([]byte(`{"a":"` + "\u202e\u009b" + `"}`))
		return
	}
	one := reflect.New(v.Type().Elem()).Elem()
	fill(one, deep-1)
	v.Set(reflect.Append(reflect.MakeSlice(v.Type(), 0, 1), one))
}

// Check fails t if output that what has printed has characters of a trick as they are, or a line that a value began.
func Check(t *testing.T, what, output string) {
	t.Helper()
	for _, r := range Text {
		if r >= ' ' && r < 0x7f || r == '\n' || r == '\t' || r == 0xfffd {
			continue
		}
		if strings.ContainsRune(output, r) {
			t.Errorf("%s prints %+q as it is: %s", what, r, near(output, string(r)))
		}
	}
	for line := range strings.Lines(output) {
		if strings.HasPrefix(line, "FORGED") {
			t.Errorf("%s prints a line of a value: %s", what, near(output, "\nFORGED"))
		}
	}
	if strings.Contains(output, "\tFORGED") {
		t.Errorf("%s prints a cell of a value: %s", what, near(output, "\tFORGED"))
	}
	if strings.ToValidUTF8(output, "") != output {
		t.Errorf("%s prints bytes that are no UTF-8: %s", what, near(output, "\x9b"))
	}
}

func near(s, what string) string {
	at := max(0, strings.Index(s, what))
	return fmt.Sprintf("%+q", s[max(0, at-60):min(len(s), at+60)])
}

// Forms calls show for each form of output, and checks what it writes. At least one form must show a trick, escaped.
func Forms(t *testing.T, what string, show func(form string, stdout, stderr io.Writer) error) {
	t.Helper()
	shown := false
	for _, form := range []string{"text", "table", "tsv", "json", "yaml"} {
		var stdout, stderr strings.Builder
		if err := show(form, &stdout, &stderr); err != nil {
			t.Logf("%s -o %s: %v", what, form, err) // such as an exit code
		}
		Check(t, what+" -o "+form, stdout.String())
		Check(t, what+" -o "+form+" on stderr", stderr.String())
		shown = shown || strings.Contains(strings.ToLower(stdout.String()+stderr.String()), `\u202e`)
	}
	if !shown {
		t.Errorf("%s shows no trick: what is tested?", what)
	}
}
