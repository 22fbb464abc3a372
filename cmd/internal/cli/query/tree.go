package query

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jmespath-community/go-jmespath/pkg/parsing"
)

// run is one search.
type run struct {
	literals []any
	asked    asked
	budget
}

// find returns what a node finds in v.
func (r *run) find(node parsing.ASTNode, v any) (any, error) {
	if err := r.spend(1); err != nil {
		return nil, err
	}
	switch node.NodeType {
	case parsing.ASTField:
		return r.field(node.Value.(string), v), nil
	case parsing.ASTLiteral:
		return r.literals[int(node.Value.(float64))], nil
	case parsing.ASTIdentity, parsing.ASTCurrentNode:
		return v, nil
	case parsing.ASTExpRef:
		return nil, errors.New("& is only for the arguments of a function")
	case parsing.ASTIndex:
		return index(node.Value.(int), v), nil
	case parsing.ASTSlice:
		return r.slice(node.Value.([]*int), v)
	case parsing.ASTSubexpression, parsing.ASTIndexExpression, parsing.ASTPipe:
		return r.walk(node.Children, v)
	case parsing.ASTKeyValPair:
		return r.find(node.Children[0], v)
	case parsing.ASTProjection, parsing.ASTValueProjection, parsing.ASTFilterProjection, parsing.ASTFlatten:
		return r.project(node, v)
	case parsing.ASTMultiSelectHash, parsing.ASTMultiSelectList:
		return r.selectMany(node, v)
	case parsing.ASTOrExpression, parsing.ASTAndExpression, parsing.ASTNotExpression:
		return r.logic(node, v)
	}
	if node.NodeType == parsing.ASTFunctionExpression {
		return r.call(node, v)
	}
	if node.NodeType != parsing.ASTComparator {
		return nil, errors.New("it cannot be read")
	}
	sides, err := r.all(node.Children, v)
	if err == nil {
		err = r.spendOn(sides...)
	}
	if err != nil {
		return nil, err
	}
	return compare(node.Value.(parsing.TokType), sides[0], sides[1])
}

func (r *run) field(key string, v any) any {
	r.asked.ask(key, v)
	if o, ok := v.(*Object); ok {
		return o.values[key]
	}
	return nil
}

// walk lets each node look at what the node before it found.
func (r *run) walk(nodes []parsing.ASTNode, v any) (any, error) {
	var err error
	for _, node := range nodes {
		if v, err = r.find(node, v); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// all returns what each node finds in v.
func (r *run) all(nodes []parsing.ASTNode, v any) ([]any, error) {
	found := make([]any, len(nodes))
	for i, node := range nodes {
		var err error
		if found[i], err = r.find(node, v); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func index(i int, v any) any {
	list, _ := v.([]any)
	if i < 0 {
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return nil
	}
	return list[i]
}

// slice returns list[from:to:step] with Python's meaning.
func (r *run) slice(parts []*int, v any) (any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, nil
	}
	if err := r.spend(len(list)); err != nil {
		return nil, err
	}
	step := 1
	if parts[2] != nil {
		step = *parts[2]
	}
	if step == 0 {
		return nil, errors.New("the step of a slice is 0")
	}
	n := len(list)
	step = min(max(step, -n-1), n+1)    // so that no index overflows
	first, last, from, to := 0, n, 0, n // the bounds, and what is meant if nothing is written
	if step < 0 {
		first, last, from, to = -1, n-1, n-1, -1
	}
	bound := func(p *int, otherwise int) int {
		if p == nil {
			return otherwise
		}
		i := *p
		if i < 0 {
			i += n
		}
		return min(max(i, first), last)
	}
	from, to = bound(parts[0], from), bound(parts[1], to)
	out := []any{}
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		out = append(out, list[i])
	}
	return out, nil
}

// project applies the second child of a node to each item that the first child finds.
func (r *run) project(node parsing.ASTNode, v any) (any, error) {
	base, err := r.find(node.Children[0], v)
	if err != nil {
		return nil, err
	}
	items, ok := base.([]any)
	if o, object := base.(*Object); object && node.NodeType == parsing.ASTValueProjection {
		items, ok = values(o), true
	} else if node.NodeType == parsing.ASTValueProjection {
		ok = false
	}
	if !ok {
		return nil, nil
	}
	if node.NodeType == parsing.ASTFlatten {
		return r.flatten(items)
	}
	found := []any{}
	for _, item := range items {
		if node.NodeType == parsing.ASTFilterProjection {
			keep, err := r.find(node.Children[2], item)
			if err != nil {
				return nil, err
			}
			if isFalse(keep) {
				continue
			}
		}
		one, err := r.find(node.Children[1], item)
		if err != nil {
			return nil, err
		}
		if one != nil {
			found = append(found, one)
		}
	}
	return found, nil
}

func (r *run) flatten(items []any) (any, error) {
	flat := []any{}
	for _, item := range items {
		inner, _ := item.([]any)
		if err := r.spend(1 + len(inner)); err != nil {
			return nil, err
		}
		if inner, ok := item.([]any); ok {
			flat = append(flat, inner...)
		} else {
			flat = append(flat, item)
		}
	}
	return flat, nil
}

func (r *run) selectMany(node parsing.ASTNode, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	found, err := r.all(node.Children, v)
	if err != nil || node.NodeType == parsing.ASTMultiSelectList {
		return found, err
	}
	o := NewObject()
	o.Made = true
	for i, child := range node.Children {
		o.Set(child.Value.(string), found[i])
	}
	return o, nil
}

func (r *run) logic(node parsing.ASTNode, v any) (any, error) {
	left, err := r.find(node.Children[0], v)
	if err != nil {
		return nil, err
	}
	switch node.NodeType {
	case parsing.ASTNotExpression:
		return isFalse(left), nil
	case parsing.ASTOrExpression:
		if !isFalse(left) {
			return left, nil
		}
	case parsing.ASTAndExpression:
		if isFalse(left) {
			return left, nil
		}
	}
	return r.find(node.Children[1], v)
}

// call calls the function of a node after a check of its arguments.
func (r *run) call(node parsing.ASTNode, v any) (any, error) {
	name := node.Value.(string)
	f := functionNamed(name)
	if f.call == nil {
		return nil, fmt.Errorf("there is no function %s()", name)
	}
	args := make([]any, len(node.Children))
	for i, child := range node.Children {
		if child.NodeType == parsing.ASTExpRef {
			args[i] = expression(func(v any) (any, error) { return r.find(child.Children[0], v) })
			continue
		}
		var err error
		if args[i], err = r.find(child, v); err != nil {
			return nil, err
		}
	}
	last, more := strings.CutSuffix(f.args[len(f.args)-1], "…")
	if len(args) < len(f.args) || len(args) > len(f.args) && !more {
		return nil, fmt.Errorf("the number of arguments of %s() is %d, not %d", name, len(f.args), len(args))
	}
	for i, arg := range args {
		types := last
		if i < len(f.args)-1 {
			types = f.args[i]
		}
		if !fits(arg, strings.Fields(types)) {
			return nil, fmt.Errorf("%s() cannot take this %s", name, describe(arg))
		}
	}
	if err := r.spendOn(args...); err != nil {
		return nil, err
	}
	if name == "join" { // its result is much larger than its arguments if the separator is
		if err := r.spend(len(args[1].([]any)) * (len(args[0].(string)) / textPerWork)); err != nil {
			return nil, err
		}
	}
	found, err := f.call(args)
	if s, made := found.(string); made && err == nil {
		err = r.spend(len(s) / textPerWork)
	}
	return found, err
}

// compare applies an operator. Numbers are ordered, and so are strings; what else is compared is null.
func compare(operator parsing.TokType, x, y any) (any, error) {
	switch operator {
	case parsing.TOKEQ:
		return equal(x, y), nil
	case parsing.TOKNE:
		return !equal(x, y), nil
	}
	ordered := map[string]bool{"number": true, "string": true}
	switch {
	case !ordered[typeOf(x)] || !ordered[typeOf(y)]:
		return nil, nil
	case typeOf(x) != typeOf(y):
		return nil, fmt.Errorf("a %s is compared with a %s", typeOf(x), typeOf(y))
	}
	switch c := order(x, y); operator {
	case parsing.TOKLT:
		return c < 0, nil
	case parsing.TOKLTE:
		return c <= 0, nil
	case parsing.TOKGT:
		return c > 0, nil
	default:
		return c >= 0, nil
	}
}
