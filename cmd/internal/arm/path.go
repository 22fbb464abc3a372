package arm

import "strings"

func segments(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

// is reports whether path has these segments, in any case; "*" is any one.
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

// scope is where in the tree of resources a request is.
type scope struct {
	subscription, group string
	rest                []string // what follows
}

// id is the path of the registry within the request's own subscription and group.
func (s scope) id(name string) string {
	group := s.group
	if group == "" {
		group = groupName
	}
	return "/subscriptions/" + s.subscription + "/resourceGroups/" + group + "/providers/" + registryType + "/" + name
}

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
