// Package link reads the Link headers of answers.
package link

import (
	"net/http"
	"strings"
)

// Next returns the target of the Link with rel="next" (RFC 8288 §3), or "" if there is none. It
// also reads what some registries write instead: a target without the brackets, and a single Link
// without a relation.
func Next(h http.Header) string {
	for _, line := range h.Values("Link") {
		for line != "" {
			target, params, rest := cut(line)
			if target != "" && isNext(params) {
				return target
			}
			line = rest
		}
	}
	return ""
}

// cut cuts the first link off a Link header. Without the brackets, the target ends at the first
// semicolon, and the header has only this link.
func cut(line string) (target, params, rest string) {
	open := strings.IndexByte(line, '<')
	if open < 0 {
		if end := strings.IndexAny(line, ">;"); end >= 0 {
			line, params = line[:end], line[end+1:]
		}
		return strings.TrimSpace(line), params, ""
	}
	end := strings.IndexByte(line[open:], '>')
	if end < 0 {
		target, params, _ = strings.Cut(line[open+1:], ";")
		return strings.TrimSpace(target), params, ""
	}
	target, params = strings.TrimSpace(line[open+1:open+end]), line[open+end+1:]
	if i := strings.Index(params, ",<"); i >= 0 {
		params, rest = params[:i], params[i+1:]
	} else if i := strings.Index(params, ", <"); i >= 0 {
		params, rest = params[:i], params[i+2:]
	}
	return target, params, rest
}

// isNext reports whether the parameters of a link name the relation next, or no relation at all.
func isNext(params string) bool {
	named := false
	for p := range strings.SplitSeq(params, ";") {
		key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(strings.TrimSpace(key), "rel") {
			continue
		}
		named = true
		for word := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), "\"'")) {
			if strings.EqualFold(word, "next") {
				return true
			}
		}
	}
	return !named
}
