package archtest

import (
	"fmt"
	"go/ast"
	literals "go/constant"
	"go/token"
	"go/types"
	"regexp"
	"slices"
	"strings"
	"time"
)

// number returns a constant that is no text: as a time, or as itself if a person can read it.
func number(v literals.Value, t types.Type) string {
	n, exact := literals.Int64Val(literals.ToInt(v))
	switch {
	case exact && t != nil && t.String() == "time.Duration":
		return time.Duration(n).String()
	case exact && n > 1_000_000:
		return unknown
	}
	return v.ExactString()
}

// texts returns what e can be as a text.
func (s *speech) texts(in scope, e ast.Expr) []string {
	if e == nil {
		return []string{""}
	}
	if v := in.p.TypesInfo.Types[e].Value; v != nil {
		if v.Kind() == literals.String {
			return []string{literals.StringVal(v)}
		}
		return []string{number(v, in.p.TypesInfo.TypeOf(e))}
	}
	if s.depth > 8 {
		return []string{unknown}
	}
	s.depth++
	defer func() { s.depth-- }()
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return s.variable(in, e)
	case *ast.BinaryExpr:
		if b, ok := in.p.TypesInfo.TypeOf(e).Underlying().(*types.Basic); e.Op != token.ADD || !ok || b.Kind() != types.String {
			break
		}
		return joined(s.texts(in, e.X), s.texts(in, e.Y))
	case *ast.UnaryExpr:
		return s.texts(in, e.X)
	case *ast.CallExpr:
		return s.called(in, e)
	case *ast.SelectorExpr:
		if o, ok := in.p.TypesInfo.Uses[e.Sel].(*types.Var); ok && !o.IsField() && o.Pkg() != nil {
			return s.value(o.Pkg().Path() + "." + o.Name())
		}
		if id, ok := e.X.(*ast.Ident); ok {
			if found := s.assigned(in, in.p.TypesInfo.Uses[id], e.Sel.Name); len(found) > 0 {
				return found
			}
		}
	case *ast.CompositeLit:
		return s.errorOf(in.p.TypesInfo.TypeOf(e))
	}
	return []string{unknown}
}

func (s *speech) value(key string) []string {
	if e, ok := s.values[key]; ok {
		return s.texts(scope{function: &function{p: s.of[e]}}, e)
	}
	return []string{unknown}
}

// errorOf returns what the method Error of t returns.
func (s *speech) errorOf(t types.Type) []string {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil || named.Obj().Name() == "Fault" {
		return []string{unknown}
	}
	name := named.Obj().Pkg().Path() + "." + named.Obj().Name()
	for _, key := range []string{"(" + name + ").Error", "(*" + name + ").Error"} {
		if f, ok := s.functions[key]; ok {
			return s.returned(f, 0)
		}
	}
	return []string{unknown}
}

func (s *speech) variable(in scope, e *ast.Ident) []string {
	o := in.p.TypesInfo.Uses[e]
	if v, ok := o.(*types.Var); ok && v.Parent() == v.Pkg().Scope() {
		return s.value(v.Pkg().Path() + "." + v.Name())
	}
	found := s.assigned(in, o, "")
	if token, ok := s.params[o]; ok {
		found = append(found, token)
	}
	if e.Name == "nil" {
		return []string{""}
	}
	if len(found) == 0 {
		return []string{unknown}
	}
	return found
}

// assignment is one value that a variable gets, or a field of it.
type assignment struct {
	block ast.Node
	value func(in scope) []string
	more  bool // +=
}

// around reports whether n is in block.
func around(block, n ast.Node) bool {
	return n != nil && block.Pos() <= n.Pos() && n.End() <= block.End()
}

// assigned returns the values that the function gives to o, or to its field: those in the block of the
// scope, or else in the blocks around it, or else all. What a variable held before, when it is part of its own new value, is its first value.
func (s *speech) assigned(in scope, o types.Object, field string) (found []string) {
	all := s.assignments(in.function, o, field)
	if len(all) == 0 {
		return nil
	}
	key := fmt.Sprint(o.Pos(), field)
	if s.busy[key] {
		return []string{itself}
	}
	for _, counts := range []func(assignment) bool{
		func(a assignment) bool { return a.block == in.block },
		func(a assignment) bool {
			return around(a.block, in.block) || in.block == nil && around(a.block, in.literal)
		},
	} {
		if slices.ContainsFunc(all, counts) {
			all = slices.DeleteFunc(slices.Clone(all), func(a assignment) bool { return !counts(a) })
			break
		}
	}
	s.busy[key] = true
	defer delete(s.busy, key)
	for i, a := range all {
		texts := a.value(in)
		if a.more {
			texts = joined(found, texts)
		}
		for _, t := range texts {
			if i > 0 {
				t = strings.ReplaceAll(t, itself, first(found))
			}
			found = append(found, t)
		}
	}
	return limited(found)
}

// itself stands for the value of a variable in its own new value.
const itself = "\x02"

func first(texts []string) string {
	if len(texts) == 0 {
		return unknown
	}
	return texts[0]
}

func (s *speech) assignments(f *function, o types.Object, field string) (all []assignment) {
	if f.body == nil || o == nil {
		return nil
	}
	key := fmt.Sprint(f.key, o.Pos(), field)
	if all, found := s.seen[key]; found {
		return all
	}
	defer func() { s.seen[key] = all }()
	is := func(e ast.Expr) bool {
		if sel, ok := e.(*ast.SelectorExpr); ok && field != "" {
			id, ok := sel.X.(*ast.Ident)
			return ok && sel.Sel.Name == field && f.p.TypesInfo.Uses[id] == o
		}
		id, ok := e.(*ast.Ident)
		return ok && field == "" && (f.p.TypesInfo.Uses[id] == o || f.p.TypesInfo.Defs[id] == o)
	}
	var blocks []ast.Node
	ast.Inspect(f.body, func(n ast.Node) bool {
		if n == nil {
			blocks = blocks[:len(blocks)-1]
			return true
		}
		block := ast.Node(f.body)
		if len(blocks) > 0 {
			block = blocks[len(blocks)-1]
		}
		var left, right []ast.Expr
		more := false
		switch n := n.(type) {
		case *ast.BlockStmt, *ast.CaseClause:
			block = n
		case *ast.AssignStmt:
			left, right, more = n.Lhs, n.Rhs, n.Tok == token.ADD_ASSIGN
		case *ast.ValueSpec:
			for _, id := range n.Names {
				left = append(left, id)
			}
			right = n.Values
		}
		blocks = append(blocks, block)
		for i, l := range left {
			if !is(l) || len(right) == 0 {
				continue
			}
			value := func(in scope) []string { return s.texts(in, right[min(i, len(right)-1)]) }
			if len(right) < len(left) {
				value = func(in scope) []string { return s.result(in, right[0], i) }
			}
			all = append(all, assignment{block, value, more})
		}
		return true
	})
	return all
}

// called returns what a call returns as a text.
func (s *speech) called(in scope, c *ast.CallExpr) []string {
	if t := in.p.TypesInfo.Types[c.Fun]; t.IsType() && len(c.Args) == 1 {
		return s.texts(in, c.Args[0])
	}
	switch key := calleeOf(in.p, c); key {
	case "errors.New", "strings.TrimSpace", "strings.ToLower", "strings.TrimSuffix", "strings.TrimPrefix", "fmt.Sprint":
		s.spoken[c.Pos()] = true
		return s.texts(in, c.Args[0])
	case "fmt.Errorf", "fmt.Sprintf":
		s.spoken[c.Pos()] = true
		return s.formatted(in, c)
	case "cmp.Or":
		var all []string
		for _, a := range c.Args {
			all = append(all, s.texts(in, a)...)
		}
		return limited(all)
	case "strings.Join":
		return []string{unknown}
	}
	return s.result(in, c, 0)
}

// result returns the nth result of the call e.
func (s *speech) result(in scope, e ast.Expr, n int) []string {
	c, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return []string{unknown}
	}
	key := calleeOf(in.p, c)
	f, ok := s.functions[key]
	if !ok || s.depth > 6 || strings.HasSuffix(key, ".String") {
		return []string{unknown}
	}
	s.depth++
	defer func() { s.depth-- }()
	args := make([][]string, len(c.Args))
	texts := s.returned(f, n)
	if !slices.ContainsFunc(texts, words.MatchString) {
		return []string{unknown} // a value, such as a time
	}
	if !slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, "\x00") }) {
		return texts
	}
	for i, a := range c.Args {
		args[i] = s.texts(in, a)
	}
	return replaced(texts, key, args)
}

// returned returns what f returns as its nth result.
func (s *speech) returned(f *function, n int) (all []string) {
	key := fmt.Sprint(f.key, n)
	if s.busy[key] {
		return []string{unknown}
	}
	if all, found := s.said[key]; found {
		return all
	}
	s.busy[key] = true
	defer func() { delete(s.busy, key); s.said[key] = all }()
	ast.Inspect(f.body, func(node ast.Node) bool {
		if _, closure := node.(*ast.FuncLit); closure {
			return false
		}
		if r, ok := node.(*ast.ReturnStmt); ok {
			switch {
			case len(r.Results) > n:
				all = append(all, s.texts(scope{function: f}, r.Results[n])...)
			case len(r.Results) == 1:
				all = append(all, s.result(scope{function: f}, r.Results[0], n)...)
			default:
				all = append(all, unknown)
			}
		}
		return true
	})
	return limited(all)
}

// formatted returns what Sprintf or Errorf make.
func (s *speech) formatted(in scope, c *ast.CallExpr) []string {
	var all []string
	for _, format := range s.texts(in, c.Args[0]) {
		texts, next := []string{""}, 1
		for {
			before, after, found := strings.Cut(format, "%")
			texts = joined(texts, []string{before})
			if !found {
				break
			}
			end := strings.IndexFunc(after, func(r rune) bool { return r == '%' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' })
			if end < 0 {
				break
			}
			verb := after[end]
			format = after[end+1:]
			switch {
			case verb == '%':
				texts = joined(texts, []string{"%"})
			case next < len(c.Args) && (verb == 's' || verb == 'v' || verb == 'w' || verb == 'd'):
				texts = joined(texts, s.texts(in, c.Args[next]))
				next++
			default:
				texts = joined(texts, []string{unknown})
				next++
			}
		}
		all = append(all, texts...)
	}
	return limited(all)
}

func joined(a, b []string) (all []string) {
	for _, x := range a {
		for _, y := range b {
			all = append(all, x+y)
		}
	}
	return limited(all)
}

// replaced puts the values of the arguments in place of the parameters of the function key.
func replaced(texts []string, key string, args [][]string) []string {
	for i := range 12 {
		param := fmt.Sprintf("\x00%s\x01%d\x00", key, i)
		values := []string{unknown}
		if i < len(args) {
			values = args[i]
		}
		var all []string
		for _, t := range texts {
			if !strings.Contains(t, param) {
				all = append(all, t)
				continue
			}
			for _, v := range values {
				all = append(all, strings.ReplaceAll(t, param, v))
			}
		}
		texts = all
	}
	return limited(texts)
}

// limited returns the different texts of all, no more than most.
func limited(all []string) []string {
	seen := map[string]bool{}
	var kept []string
	for _, t := range all {
		for strings.Contains(t, unknown+unknown) {
			t = strings.ReplaceAll(t, unknown+unknown, unknown)
		}
		if !seen[t] && len(kept) < most {
			seen[t] = true
			kept = append(kept, t)
		}
	}
	return kept
}

// words are what makes a text more than a value.
var words = regexp.MustCompile(`[A-Za-z]{2}|\x00`)
