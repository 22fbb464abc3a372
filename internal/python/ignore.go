package python

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// SplitIgnore splits lists of patterns in the form of acr_transfer.py: "old/*, tmp*, re:^x{1,2}$". Globs are separated
// by commas. Spaces around them, and empty globs, are dropped. From "re:" on, the rest of a list is one expression.
func SplitIgnore(lists []string) (patterns []string) {
	for _, rest := range lists {
		for rest != "" {
			rest = strings.TrimSpace(rest)
			one, after := rest, ""
			if !strings.HasPrefix(rest, "re:") {
				one, after, _ = strings.Cut(rest, ",")
			}
			if one = strings.TrimSpace(one); one != "" {
				patterns = append(patterns, one)
			}
			rest = after
		}
	}
	return patterns
}

// IgnoreFile returns the texts in an ignore-config file of acr_transfer.py: a JSON list of texts, or an object with
// such a list as "patterns".
func IgnoreFile(raw []byte) ([]string, error) {
	raw = bytes.TrimPrefix(raw, []byte("\uFEFF")) // the byte order mark that Windows editors write
	list := json.RawMessage(raw)
	switch trimmed := bytes.TrimSpace(raw); {
	case len(trimmed) == 0:
		return nil, errors.New("the file is empty")
	case bytes.HasPrefix(trimmed, []byte("{")):
		members := map[string]json.RawMessage{} // not a struct, which would also accept "Patterns"
		if err := json.Unmarshal(raw, &members); err != nil {
			return nil, err
		}
		if list = members["patterns"]; list == nil {
			return nil, errors.New(`the object has no "patterns"`)
		}
	}
	var entries []*string
	if err := json.Unmarshal(list, &entries); err != nil {
		return nil, err
	}
	if entries == nil {
		return nil, errors.New("null is not a list")
	}
	var out []string
	for _, e := range entries {
		if e != nil { // acr_transfer.py ignores null
			out = append(out, *e)
		}
	}
	return out, nil
}
