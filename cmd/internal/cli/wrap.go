package cli

import (
	"strings"
	"unicode/utf8"
)

// pageWidth returns the width of a page of help on a terminal with so many columns; 0 means that stdout
// is not a terminal. Very long lines are hard to read, and very short ones have no room for a column of
// flags, so a page has 60 to 120 columns.
func pageWidth(columns int) int {
	if columns == 0 {
		return 80
	}
	return min(max(columns, 60), 120)
}

// reflow breaks each paragraph of text into lines of at most width columns. Lines that begin with a
// blank, such as examples, stay as they are.
func reflow(text string, width int) string {
	var b strings.Builder
	var words []string
	flush := func() {
		if len(words) > 0 {
			b.WriteString(hanging("", strings.Join(words, " "), 0, width) + "\n")
		}
		words = nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && line[0] != ' ' {
			words = append(words, line)
			continue
		}
		flush()
		b.WriteString(line + "\n")
	}
	flush()
	return b.String()
}

// entry is one line of a list: name, and text in a column of its own. If name reaches into the column,
// the text begins on the next line.
func entry(name, text string, column, width int) string {
	if utf8.RuneCountInString(name)+2 > column {
		return name + "\n" + hanging(strings.Repeat(" ", column), text, column, width)
	}
	return hanging(name+strings.Repeat(" ", column-utf8.RuneCountInString(name)), text, column, width)
}

// hanging puts text after head, breaks it at blanks so that no line is longer than width columns, and
// indents all lines but the first. A word that is too long for a line is not broken.
func hanging(head, text string, indent, width int) string {
	var b strings.Builder
	b.WriteString(head)
	at, fresh := utf8.RuneCountInString(head), true
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case fresh:
		case at+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at, fresh = at+n, false
	}
	return b.String()
}
