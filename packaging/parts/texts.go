package parts

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Texts returns the licenses and notices of the modules as one text. Modules with the same text share it.
func Texts(all []Module) []byte {
	var order []string
	users := map[string][]string{}
	var bare []string
	for _, m := range all {
		if len(m.Texts) == 0 {
			bare = append(bare, m.Path+" "+m.Version)
		}
		for _, t := range m.Texts {
			text := strings.TrimSpace(string(t.Content))
			if users[text] == nil {
				order = append(order, text)
			}
			user := fmt.Sprintf("%s %s (%s)", m.Path, m.Version, t.File)
			if !slices.Contains(users[text], user) {
				users[text] = append(users[text], user)
			}
		}
	}
	rule := strings.Repeat("=", 79)
	var out bytes.Buffer
	fmt.Fprintf(&out, "The programs dray and drayd contain the %d modules below, under these licenses.\n", len(all))
	for _, text := range order {
		fmt.Fprintf(&out, "\n%s\n%s\n%s\n\n%s\n", rule, strings.Join(users[text], "\n"), rule, text)
	}
	if bare != nil {
		fmt.Fprintf(&out, "\n%s\n%s\n%s\n\n", rule, strings.Join(bare, "\n"), rule)
		fmt.Fprintln(&out, "The authors publish this module without a license file.")
	}
	return out.Bytes()
}
