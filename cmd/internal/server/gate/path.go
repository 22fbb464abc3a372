package gate

import (
	"regexp"
	"strings"
	"sync"
)

// TokenPath is the path of Token.
const TokenPath = "/v2/token"

// Route returns the route of a path of the distribution API: "/v2/manifests" for
// "/v2/team/app/manifests/v1". ok is false for any other path.
func Route(path string) (route string, ok bool) {
	at, ok := readPath(path)
	return "/v2/" + at.part, ok && path != TokenPath
}

// request holds the parts of a path of the distribution API.
type request struct {
	repo, part, last string // "team/app", "manifests", "v1"; part is "" for /v2/, "_catalog" for /v2/_catalog
}

// readPath parses a path of distribution-spec v1.1.1 §Endpoints. ok is false for any other path, which
// the gate does not pass on to the registry.
func readPath(path string) (w request, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v2/")
	switch {
	case !ok:
		return w, false
	case rest == "":
		return w, true
	case rest == "_catalog":
		return request{part: rest}, true
	}
	i := strings.LastIndexByte(rest, '/')
	if i < 0 {
		return w, false
	}
	rest, w.last = rest[:i], rest[i+1:]
	if i = strings.LastIndexByte(rest, '/'); i < 0 {
		return w, false
	}
	w.repo, w.part = rest[:i], rest[i+1:]
	switch w.part {
	case "manifests", "blobs", "referrers":
		ok = w.last != ""
	case "tags":
		ok = w.last == "list"
	case "uploads":
		w.repo, ok = strings.CutSuffix(w.repo, "/blobs")
	default:
		ok = false
	}
	return w, ok && repoForm().MatchString(w.repo)
}

var repoForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$`)
})
