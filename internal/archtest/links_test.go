package archtest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// Every relative link of a page leads to a file or directory of the repository and, if it has an anchor, to a
// heading of that page. Links to other sites are not followed.
func TestEveryLinkOfThePagesLeadsSomewhere(t *testing.T) {
	root := filepath.Join("..", "..")
	pages := markdown(t, root)
	links := 0
	for path, text := range pages {
		for _, link := range linksOf(text) {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			links++
			if problem := follow(pages, path, link); problem != "" {
				t.Errorf("%s: link to %s: %s", path, link, problem)
			}
		}
	}
	if links < 50 {
		t.Errorf("only %d links were found: their form changed, or pages are missing", links)
	}
}

// docs/README.md is the index of docs: a page that it does not name is found by nobody.
func TestTheIndexOfDocsNamesEveryPage(t *testing.T) {
	pages := markdown(t, filepath.Join("..", ".."))
	named := map[string]bool{}
	for _, link := range linksOf(pages["docs/README.md"]) {
		file, _, _ := strings.Cut(link, "#")
		named["docs/"+file] = true
	}
	for path := range pages {
		if filepath.Dir(path) == "docs" && path != "docs/README.md" && !named[path] {
			t.Errorf("docs/README.md does not name %s", path)
		}
	}
}

func TestALinkThatLeadsNowhereIsFound(t *testing.T) {
	pages := map[string]string{
		"README.md":    "",
		"docs/here.md": "# What `a` is, or b\n\n## Twice\n\n## Twice\n",
	}
	for link, want := range map[string]string{
		"docs/here.md": "", "docs/here.md#what-a-is-or-b": "", "docs/here.md#twice-1": "", "go.mod": "", "docs": "",
		"docs/gone.md": "no such file", "docs/here.md#gone": "no such heading", "#gone": "no such heading", "go.mod#line": "no such heading",
		"../elsewhere": "outside of the repository",
	} {
		if got := follow(pages, "README.md", link); got != want {
			t.Errorf("%s: %q, want %q", link, got, want)
		}
	}
	const text = "[a](b) `[no](code)`\n```\n[no](fence)\n```\n[c]: d\n![e](f \"title\")\n"
	if got := fmt.Sprint(linksOf(text)); got != "[b f d]" {
		t.Errorf("links %s", got)
	}
}

// follow returns what is wrong with a link of the page at path, or "".
func follow(pages map[string]string, path, link string) string {
	file, anchor, hasAnchor := strings.Cut(link, "#")
	target := path
	if file != "" {
		target = filepath.Join(filepath.Dir(path), file)
	}
	if !filepath.IsLocal(target) {
		return "outside of the repository"
	}
	text, isPage := pages[target]
	if !isPage {
		if _, err := os.Stat(filepath.Join("..", "..", target)); err != nil {
			return "no such file"
		}
	}
	if hasAnchor && !headings(text)[anchor] {
		return "no such heading"
	}
	return ""
}

// markdown returns the pages of the repository by their paths from root.
func markdown(t *testing.T, root string) map[string]string {
	t.Helper()
	pages := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "dist" || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".md":
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		pages[filepath.ToSlash(name)] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// linksOf returns the targets of the links and images in a page, without those in code.
func linksOf(text string) (links []string) {
	text = regexp.MustCompile("(?ms)^```.*?^```$|`[^`\n]*`").ReplaceAllString(text, "code")
	for _, m := range regexp.MustCompile(`\]\(([^)\s]+)[^)]*\)`).FindAllStringSubmatch(text, -1) {
		links = append(links, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^\[[^\]]+\]: *(\S+)`).FindAllStringSubmatch(text, -1) {
		links = append(links, m[1])
	}
	return links
}

// headings returns the anchors of a page's headings, made as GitHub makes them: lower-case letters, digits,
// "-" and "_" remain, a blank becomes "-", and a heading that stands again gets a number.
func headings(text string) map[string]bool {
	text = regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(text, "")
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(m[1], "$1")
		anchor := strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
				return unicode.ToLower(r)
			case r == ' ':
				return '-'
			}
			return -1
		}, name)
		again := anchor
		for n := 1; anchors[again]; n++ {
			again = fmt.Sprintf("%s-%d", anchor, n)
		}
		anchors[again] = true
	}
	return anchors
}

// If two branches change a row of a table, a merge may keep both: then a page says two things about one subject.
func TestNoTableOfThePagesSaysTwoThingsAboutOneSubject(t *testing.T) {
	for path, text := range markdown(t, filepath.Join("..", "..")) {
		rows := map[string]int{}
		for i, line := range strings.Split(text, "\n") {
			cells := strings.SplitN(line, " | ", 3)
			if !strings.HasPrefix(line, "| ") || len(cells) < 2 {
				clear(rows) // another table
				continue
			}
			subject := cells[0]
			if named := len(subject) < 40 || strings.HasPrefix(subject, "| `"); named && path != "ARCHITECTURE.md" {
				subject += " | " + cells[1] // the first is a number or a command
			}
			if at := rows[subject]; at != 0 && (len(subject) > 40 || path == "ARCHITECTURE.md") {
				t.Errorf("%s:%d: line %d has a row for %s, too", path, i+1, at, subject)
			}
			rows[subject] = i + 1
		}
	}
}
