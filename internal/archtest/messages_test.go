package archtest

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/messages.md")

// spoken lists the types whose values are messages, and what their fields are.
var spoken = map[string]map[string]string{
	"fault.Fault":                 {"Kind": "kind", "Side": "side", "Op": "op", "Err": "cause", "Hint": "hint"},
	"cmd/internal/cli/out.hinted": {"error": "cause", "hint": "hint"},
	"event.Event":                 {"Text": "cause"},
	"report.Finding":              {"Text": "cause", "Remedy": "hint"},
}

// says lists the functions whose arguments are a message, and where among them the cause is.
var says = map[string]message{
	"gate.Refuse":                        {kind: []string{"refused"}, at: 2},
	"(*cmd/internal/cli/out.Story).Say":  {note: true},
	"(*cmd/internal/cli/out.Story).Note": {note: true},
	"cmd/internal/cli/flag.UsageError":   {kind: []string{"invalid"}, at: 1},
}

// exits holds the exit codes of the kinds, as docs/exit-codes.md has them.
var exits = map[string]string{
	"invalid": "2", "not_found": "3", "denied": "4", "moved": "5", "refused": "8", "throttled": "75", "canceled": "130",
	"conflict": "1", "full": "1", "too_large": "1", "unavailable": "1", "corrupt": "1", "internal": "1",
}

// chapters groups the packages by what a user did, in the order of the page.
var chapters = []struct{ title, rooms string }{
	{"Commands, flags and arguments", "cmd/internal/cli cmd/internal/cli/flag cmd/internal/cli/moving cmd/internal/cli/mirroring cmd/internal/cli/bundling " +
		"cmd/internal/cli/looking cmd/internal/cli/jobs cmd/internal/cli/setup cmd/internal/cli/app cmd/internal/cli/ask cmd/internal/cli/run cmd/internal/cli/out cmd/internal/cli/query cmd/internal/program"},
	{"Names of images and registries", "ref internal/name ."},
	{"Configuration, lists, mirror rules, schedules", "cmd/internal/config cmd/internal/config/azure cmd/internal/config/gates cmd/internal/config/storing cmd/internal/config/textfile cmd/internal/mirror cmd/internal/schedule"},
	{"Selections, maps and plan files", "plan internal/kube internal/python"},
	{"Logins and credentials", "credential internal/remote/signin internal/remote/product"},
	{"The network, and what a registry answers", "internal/remote internal/remote/wire internal/remote/reason internal/remote/ask internal/remote/limit"},
	{"Reading from a registry", "internal/remote/read internal/remote/list internal/transfer/fetch"},
	{"Writing to a registry", "internal/remote/push internal/remote/feed internal/remote/subject"},
	{"Images and their content", "oci internal/transfer"},
	{"Directories and files", "internal/layout internal/ends internal/archive internal/outfile internal/ours internal/ledger"},
	{"What is copied, tagged, replaced and removed", "internal/referrers internal/trim internal/nearest internal/lock internal/survey internal/survey/landing internal/apply internal/prove internal/migrate internal/migrate/total internal/estimate internal/place internal/foreign internal/look event report internal/azure"},
	{"What a gate refuses", "gate internal/admit cmd/internal/gatekeeper cmd/internal/gatekeeper/verifier"},
	{"Bundles", "internal/bundle internal/shelf internal/stock internal/volume internal/have internal/outfile"},
	{"dray check", "internal/probe"},
	{"A server, seen by its clients", "cmd/internal/client cmd/internal/acr cmd/internal/api cmd/internal/arm cmd/internal/memory cmd/internal/relay cmd/internal/wire cmd/internal/verb cmd/internal/verb/share"},
	{"Jobs and schedules of a server", "cmd/internal/job cmd/internal/job/live cmd/internal/pool cmd/internal/temporal"},
	{"Who may do what at a server", "cmd/internal/access cmd/internal/access/egress cmd/internal/access/kept cmd/internal/server/gate"},
	{"Running a server", "cmd/internal/server/certificate cmd/internal/cli/serve cmd/internal/cli/serving cmd/internal/server cmd/internal/server/budget cmd/internal/server/measure cmd/internal/server/own cmd/internal/server/shared cmd/internal/store internal/registry internal/registry/backing internal/registry/home internal/registry/answer internal/registry/tend cmd/internal/server/guest internal/registry/index internal/registry/locks internal/registry/tree"},
}

const preface = `# Messages

This page has the errors of dray with their hints, and its notes. A test writes it from the code. It leaves out lines of
progress, summaries, and what other programs say.

To find a message, search for words of its cause. An error is printed as

    dray: SIDE: VERB NAME: KIND: CAUSE (hint: HINT)

SIDE is source or target, and is left out where the error belongs to neither. In the lists below,

- the number in front is the [exit code](exit-codes.md) of a command that ends with this message; ` + "`*`" + ` means that
  what happened decides, such as a full disk or a missing permission,
- ` + "`…`" + ` stands for a value, such as a name, or for the error of the system,
- ` + "`hint`" + ` is the next step; of several hints, dray prints the one that fits; hints about a command line end with
  the command that shows its help,
- ` + "`·`" + ` marks a note, after which the command continues.
`

// The page of all messages is complete: go test ./internal/archtest -run Messages -update writes it.
func TestThePageOfMessagesHasAllOfThem(t *testing.T) {
	rooms := map[string][]message{}
	for _, m := range hear(walks(t)).messages() {
		rooms[m.room] = append(rooms[m.room], m)
	}
	page := preface
	for _, c := range chapters {
		var all []message
		for name := range strings.FieldsSeq(c.rooms) {
			all = append(all, rooms[name]...)
			delete(rooms, name)
		}
		if lines := rendered(all); lines != "" {
			page += "\n## " + c.title + "\n\n```text\n" + lines + "```\n"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		if first, _, _ := strings.Cut(name, "/"); first != "bench" && first != "packaging" && !onlyForTests(name) {
			t.Errorf("%s has messages, but is in none of the chapters", name)
		}
	}
	path := filepath.Join("..", "..", "docs", "messages.md")
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil || string(raw) != page {
		t.Errorf("docs/messages.md is not what the code says (%v): run go test ./internal/archtest -run Messages -update, and read the difference", err)
	}
	if n := strings.Count(page, "\n"); n < 1000 {
		t.Errorf("the page has only %d lines: messages were not found", n)
	}
}

func onlyForTests(room string) bool {
	return room == "cmd/internal/job/suite" || slices.ContainsFunc([]string{"testbed", "hostile", "conform", "yard"}, func(s string) bool { return strings.HasPrefix(room, "internal/"+s) })
}

// silent lists errors that end a loop and are never printed.
var silent = []string{"enough", "over", "the rest is known", "… would send nothing", "0 would send nothing"}

// rendered returns the lines of all messages that say anything of their own: errors by verb and cause, then
// notes. Messages with the same kind and cause are one, with all of their verbs and hints.
func rendered(all []message) string {
	type sameBut struct{ kind, side, cause string }
	type rest struct{ verbs, hints []string }
	merged := map[sameBut]*rest{}
	for _, m := range all {
		for _, kind := range orUnknown(m.kind) {
			for _, cause := range orUnknown(m.cause) {
				if m.note {
					kind = "·"
				}
				if cause == unknown && orUnknown(m.hint)[0] == unknown {
					continue
				}
				key := sameBut{kind, "", cause}
				if sides := only(m.side); len(sides) == 1 {
					key.side = sides[0] + ": "
				}
				if cause == unknown { // a hint for the causes of others
					key.cause += "\t" + strings.Join(only(m.hint), "\n")
				}
				if merged[key] == nil {
					merged[key] = &rest{}
				}
				merged[key].verbs = append(merged[key].verbs, orUnknown(m.op)...)
				merged[key].hints = append(merged[key].hints, orUnknown(m.hint)...)
			}
		}
	}
	kinds := map[string]int{} // of a cause
	for key := range merged {
		kinds[key.cause]++
	}
	for key, r := range merged {
		if to := (sameBut{unknown, "", key.cause}); kinds[key.cause] > 3 && key != to { // what the system answers decides
			if merged[to] == nil {
				merged[to] = &rest{}
			}
			merged[to].verbs, merged[to].hints = append(merged[to].verbs, r.verbs...), append(merged[to].hints, r.hints...)
			delete(merged, key)
		}
	}
	lines := map[string]string{} // by what sorts them
	for key, r := range merged {
		cause, _, _ := strings.Cut(key.cause, "\t")
		head := key.side + verbsOf(r.verbs) + kindOf(key.kind) + cause
		code := cmp.Or(exits[key.kind], map[string]string{"·": "·", unknown: "*"}[key.kind], key.kind)
		text := fmt.Sprintf("%-4s%s\n", code, head)
		for _, h := range only(r.hints) {
			text += "    hint: " + h + "\n"
		}
		lines[fmt.Sprint(key.kind == "·", head, code, text)] = text
	}
	var page strings.Builder
	for _, sorted := range slices.Sorted(maps.Keys(lines)) {
		page.WriteString(lines[sorted])
	}
	return page.String()
}

// verbsOf returns the beginning of a message: its verbs and the place of its name.
func verbsOf(verbs []string) string {
	switch verbs = only(verbs); {
	case len(verbs) == 0:
		return ""
	case len(verbs) > 6:
		return strings.Join(verbs[:5], " | ") + " | " + unknown + ": "
	}
	return strings.Join(verbs, " | ") + " " + unknown + ": "
}

func kindOf(kind string) string {
	if kind == "·" || kind == unknown {
		return ""
	}
	return strings.ReplaceAll(kind, "_", " ") + ": "
}

// only returns the texts that are known, sorted. A text without a value that another text has is left out: the
// value is never empty.
func only(texts []string) []string {
	without := map[string]bool{"": true, unknown: true}
	for _, t := range texts {
		if s := strings.TrimSpace(strings.ReplaceAll(t, unknown, "")); s != t {
			without[s] = true
		}
	}
	texts = slices.DeleteFunc(slices.Clone(texts), func(t string) bool { return without[t] || slices.Contains(silent, t) })
	slices.Sort(texts)
	return slices.Compact(texts)
}

// orUnknown returns the texts that are known, or unknown if there is none.
func orUnknown(texts []string) []string {
	if texts = only(texts); len(texts) > 0 {
		return texts
	}
	return []string{unknown}
}
