package flag

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/drayage/dray/fault"
	"github.com/spf13/pflag"
)

// span is the range of the values of a flag: of a number, or of a time in seconds. words says so in a hint.
type span struct {
	least, most float64
	words       string
}

func from(least, most int) span {
	return span{float64(least), float64(most), fmt.Sprintf("write a whole number from %d to %d", least, most)}
}

func lasting(least, most time.Duration) span {
	longest := strings.TrimSuffix(most.String(), "0m0s")
	words := fmt.Sprintf("write a time from %s to %s, such as 30s or 10m", least, longest)
	return span{least.Seconds(), most.Seconds(), words}
}

// spanOf returns the range of a flag; ok is false for one that is neither a number nor a time. It is the only
// place that says what such a flag takes: a 0 where it means that there is no limit, and nothing that would
// silently be the default.
func spanOf(f *pflag.Flag) (s span, ok bool) {
	switch f.Value.Type() {
	case "int", "int64":
		switch f.Name {
		case "limit", "max-repositories", "min-tags":
			return from(0, 1_000_000_000), true
		case "after":
			return from(0, 1<<53), true
		case "concurrency", "parallel-imports", "parallel-rules", "retries":
			return from(1, 10_000), true
		case "slots":
			return span{-1, 1000, "write a whole number from 1 to 1000, or -1 for none"}, true
		}
		return from(1, 1_000_000_000), true
	case "float64":
		return span{0, 86_400, "write a number of seconds from 0 to 86400"}, true
	case "duration":
		switch f.Name {
		case "max-wait":
			return lasting(0, 720*time.Hour), true
		case "keep":
			return lasting(0, 87_600*time.Hour), true
		}
		return lasting(time.Millisecond, 24*time.Hour), true
	}
	return span{}, false
}

// checkNumber returns an error for a number or a time that is out of its range, and says the range.
func checkNumber(f *pflag.Flag) (hint string, why error) {
	s, ok := spanOf(f)
	if !ok {
		return "", nil
	}
	value := f.Value.String()
	v, err := strconv.ParseFloat(value, 64)
	if d, derr := time.ParseDuration(value); f.Value.Type() == "duration" {
		v, err = d.Seconds(), derr
	}
	if err != nil {
		return s.words, err
	}
	void := v == 0 && (f.Name == "slots" || f.Name == "keep" && f.DefValue == "0s") // it would be the default
	if !(v >= s.least && v <= s.most) || void {                                     // also if v is not a number
		return s.words, fmt.Errorf("--%s %s: out of range", f.Name, value)
	}
	if v == 0 && f.Value.Type() == "duration" {
		return "", f.Value.Set("1ns") // 0 would be the default; this is as good as none
	}
	return "", nil
}

// unreadable returns what is wrong with a value that pflag cannot read, and the range of the flag.
func unreadable(bad *pflag.InvalidValueError) (hint string, why error) {
	f := bad.GetFlag()
	s, numeric := spanOf(f)
	text := bad.Unwrap().Error()
	if said, ok := errors.AsType[*fault.Fault](bad); ok { // the flag and its value stand before the cause
		text, hint = said.Err.Error(), said.Hint
	}
	switch typ := f.Value.Type(); {
	case errors.Is(bad.Unwrap(), strconv.ErrRange):
		text = "out of range"
	case slices.Contains([]string{"int", "int64", "float64"}, typ):
		text = "not a number"
	case typ == "duration":
		text = "not a time with its unit"
	case typ == "bool":
		text = "neither true nor false"
	}
	if numeric {
		hint = s.words
	}
	return hint, fmt.Errorf("--%s %q: %s", f.Name, bad.GetValue(), text)
}
