package query

import (
	"errors"
	"fmt"
	"slices"

	"github.com/jmespath-community/go-jmespath/pkg/parsing"
)

// Query is a compiled expression. Many goroutines may search with it.
type Query struct {
	root     parsing.ASTNode
	literals literals
}

// Answer is what a query finds in a value.
type Answer struct {
	Value any

	// Note says why nothing was found, if the query asked for a key that nothing has. "" means that there is
	// nothing to say.
	Note string
}

// Compile reads an expression.
func Compile(expression string) (*Query, error) {
	var q Query
	if len(expression) > maxExpression {
		return nil, fmt.Errorf("it has %d bytes, and may have %d", len(expression), maxExpression)
	}
	text, err := q.literals.take(expression)
	if err != nil {
		return nil, err
	}
	q.root, err = parse(text)
	var bad parsing.SyntaxError
	switch {
	case errors.As(err, &bad) && bad.Offset < len(text):
		rest := q.literals.restore(text[max(bad.Offset, 0):])
		return nil, fmt.Errorf("it cannot be read from %q on", rest)
	case errors.As(err, &bad):
		return nil, errors.New("its end is missing")
	case err != nil:
		return nil, errors.New("it cannot be read")
	}
	return &q, known(q.root)
}

// parse reads an expression without literals. The parser panics after a name that is followed by U+0080.
func parse(text string) (root parsing.ASTNode, err error) {
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("the parser ends with %v", what)
		}
	}()
	return parsing.NewParser().Parse(text)
}

// known returns an error if the tree has a node that only newer kinds of JMESPath have, and az does not.
func known(node parsing.ASTNode) error {
	switch node.NodeType {
	case parsing.ASTArithmeticExpression, parsing.ASTArithmeticUnaryExpression:
		return errors.New("az's JMESPath has no arithmetic")
	case parsing.ASTRootNode, parsing.ASTLetExpression, parsing.ASTVariable, parsing.ASTBindings, parsing.ASTBinding:
		return errors.New("az's JMESPath has no variables, and no = alone")
	}
	for _, child := range node.Children {
		if err := known(child); err != nil {
			return err
		}
	}
	return nil
}

// Search finds what q asks for in a value of [Decode] or [ValueOf]. It ends with an error if that makes much more than
// the value has.
func (q *Query) Search(v any) (Answer, error) {
	r := &run{literals: q.literals.values, budget: budget{workFor(v)}}
	found, err := r.find(q.root, v)
	if err == nil {
		err = r.spendOn(found)
	}
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Value: found}
	if empty(found) {
		answer.Note = r.asked.why()
	}
	return answer, nil
}

// empty reports whether there is nothing in v to print.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(one any) bool { return !empty(one) })
	case *Object:
		return !slices.ContainsFunc(v.keys, func(key string) bool { return !empty(v.values[key]) })
	}
	return false
}
