package arm

import "strings"

// segments returns the segments of a path; there is always at least one.
func segments(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

// is reports whether path has exactly the segments want, in upper or lower case; "*" matches any
// segment.
func is(path []string, want ...string) bool {
	if len(path) != len(want) {
		return false
	}
	for i := range path {
		if want[i] != "*" && !strings.EqualFold(path[i], want[i]) {
			return false
		}
	}
	return true
}

// scope holds the subscription and the resource group of a path. group is "" if the path has none.
type scope struct {
	subscription, group string
	rest                []string // the segments that follow
}

// id returns the resource ID of a registry in the subscription and resource group of the request.
func (s scope) id(name string) string {
	group := s.group
	if group == "" {
		group = groupName
	}
	return "/subscriptions/" + s.subscription + "/resourceGroups/" + group + "/providers/" + registryType + "/" + name
}

// scopeOf returns the scope of a path; false means that the path does not begin with "subscriptions".
func scopeOf(path []string) (scope, bool) {
	if !strings.EqualFold(path[0], "subscriptions") {
		return scope{}, false
	}
	s := scope{subscription: subscriptionID}
	if len(path) > 1 {
		s.subscription, s.rest = path[1], path[2:]
	}
	if len(path) == 1 {
		s.rest = []string{"*"} // the list of subscriptions
	}
	if len(s.rest) > 1 && strings.EqualFold(s.rest[0], "resourceGroups") {
		s.group, s.rest = s.rest[1], s.rest[2:]
	}
	return s, true
}
