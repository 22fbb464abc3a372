package visible

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// tricks are characters that control a terminal or that nobody sees, by the trick.
var tricks = map[string]string{
	"escape": "\x1b", "bell": "\a", "backspace": "\b", "return": "\r", "null": "\x00", "delete": "\x7f",
	"C1 CSI": "\u009b", "next line": "\u0085", "line separator": "\u2028", "paragraph separator": "\u2029",
	"Arabic mark": "\u061c", "left-to-right mark": "\u200e", "right-to-left override": "\u202e", "isolate": "\u2066",
	"zero width space": "\u200b", "zero width joiner": "\u200d", "word joiner": "\u2060", "byte order mark": "\ufeff",
	"soft hyphen": "\u00ad", "tag": "\U000e0041", "variation selector": "\ufe0f", "variation selector 17": "\U000e0100",
	"Hangul filler": "\u3164", "grapheme joiner": "\u034f", "interlinear": "\ufff9", "private": "\ue000",
}

func TestWhatIsNotSeenAsItselfIsWrittenAsJSONEscapesIt(t *testing.T) {
	for name, s := range tricks {
		for form, f := range map[string]func(string) string{"line": Line, "cell": Cell, "text": Text} {
			got := f("a" + s + "b")
			if strings.Contains(got, s) || got == "ab" {
				t.Errorf("%s, %s: %q", name, form, got)
			}
			if form == "line" && s == "\r" || form == "cell" && s == "\r" {
				continue
			}
			var back string
			if err := json.Unmarshal([]byte(`"`+got+`"`), &back); err != nil || back != "a"+s+"b" {
				t.Errorf("%s, %s: %s means %q in JSON: %v", name, form, got, back, err)
			}
		}
	}
}

func TestLettersOfAllScriptsStay(t *testing.T) {
	for _, s := range []string{"Grüße", "日本語", "Ελλάδα", "עברית", "عربي", "हिन्दी", "ไทย", "😀", "a\u00a0b", "C:\\dir", "\ufffd"} {
		if Line(s) != s || Cell(s) != s || Text(s) != s {
			t.Errorf("%q is changed: %q", s, Cell(s))
		}
	}
}

func TestOneValueIsOneLine(t *testing.T) {
	s := "one\ttwo\r\nthree"
	if got := Line(s); got != "one two  three" {
		t.Errorf("%q", got)
	}
	if got := Cell(s); got != `one\ttwo\r\nthree` {
		t.Errorf("%q", got)
	}
	if got := Text("one\ttwo\r\n"); got != "one\ttwo\\u000d\n" {
		t.Errorf("%q", got)
	}
	if got := Cell("a\xffb\xc2"); got != `a\ufffdb\ufffd` {
		t.Errorf("%q", got)
	}
}

func TestAStreamIsEscapedWhereverItIsCut(t *testing.T) {
	text := "日\u202eü\u009b\U000e0041\xff\x1b[0m\n\t😀\xc2"
	for at := range len(text) {
		for to := at; to <= len(text); to++ {
			var b bytes.Buffer
			w := NewWriter(&b)
			for _, part := range []string{text[:at], text[at:to], text[to:]} {
				if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatal(n, err)
				}
			}
			if err := w.Flush(); err != nil || b.String() != Text(text) {
				t.Fatalf("cut at %d and %d: %q, %v", at, to, b.String(), err)
			}
		}
	}
}

func TestAStreamOfJSONKeepsItsMeaning(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "\t")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(tricks); err != nil {
		t.Fatal(err)
	}
	var back map[string]string
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || !reflect.DeepEqual(back, tricks) {
		t.Errorf("%v\n%s", err, b.Bytes())
	}
	if s := b.String(); s != Text(s) {
		t.Errorf("hidden characters in %q", s)
	}
}

func FuzzNothingHiddenRemains(f *testing.F) {
	for _, s := range tricks {
		f.Add(s)
	}
	f.Add("\xe2\x80")
	f.Fuzz(func(t *testing.T, s string) {
		for _, got := range []string{Line(s), Cell(s), strings.NewReplacer("\n", "", "\t", "").Replace(Text(s))} {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, Hidden) {
				t.Errorf("%q", got)
			}
		}
	})
}

func TestWhatHasNothingToWriteWaitsForNoReader(t *testing.T) {
	_, unread := io.Pipe()
	w := NewWriter(unread)
	if n, err := w.Write(nil); n != 0 || err != nil || w.Flush() != nil {
		t.Error(n, err)
	}
	if n, err := w.Write([]byte("\xe2\x80")); n != 2 || err != nil { // the rest has not come
		t.Error(n, err)
	}
}
