package query

import (
	"fmt"
	"strconv"
	"strings"
)

// literals are the literals of an expression. In the text that is parsed, a number in backticks stands for
// each of them: its index.
type literals struct {
	values []any
	words  []string // as they were written
}

// take replaces the literals of an expression, because az reads them in its own way: “ `Succeeded` “ is a
// string although it has no quotes, and a backslash in '…' escapes nothing but a quote.
func (l *literals) take(expression string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(expression); {
		c := expression[i]
		if c != '`' && c != '\'' && c != '"' {
			b.WriteByte(c)
			i++
			continue
		}
		n := closing(expression[i:])
		if n == 0 {
			return "", fmt.Errorf("the quote before %s has no end", strconv.Quote(expression[i+1:]))
		}
		word := expression[i : i+n]
		i += n
		if c == '"' { // a key, which the parser reads
			b.WriteString(word)
			continue
		}
		v, err := literal(word)
		if err != nil {
			return "", err
		}
		b.WriteString("`" + strconv.Itoa(len(l.values)) + "`")
		l.values, l.words = append(l.values, v), append(l.words, word)
	}
	return b.String(), nil
}

// restore returns a part of the text that was parsed as it was written.
func (l *literals) restore(text string) string {
	for i, word := range l.words {
		text = strings.Replace(text, "`"+strconv.Itoa(i)+"`", word, 1)
	}
	return text
}

// closing returns the length of the quoted word at the start of s; 0 means that it does not end.
func closing(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return 0
}

func literal(word string) (any, error) {
	inner := word[1 : len(word)-1]
	if word[0] == '\'' {
		return strings.ReplaceAll(inner, `\'`, "'"), nil
	}
	inner = strings.ReplaceAll(inner, "\\`", "`")
	v, err := Decode([]byte(inner))
	if err != nil {
		v, err = Decode([]byte(`"` + strings.TrimLeft(inner, " \t\r\n") + `"`))
	}
	if err != nil {
		return nil, fmt.Errorf("%s is neither JSON nor a word", word)
	}
	return v, nil
}
