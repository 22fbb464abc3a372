package archtest

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"
)

// message is what one place in the code says. Each field holds the texts that it can have.
type message struct {
	room                        string
	kind, side, op, cause, hint []string
	note                        bool // not an error
	at                          int  // of the arguments of a call, the one that is the cause; the next one is the hint
	remaining                   int  // how many more calls may be followed outward
}

const (
	unknown = "…"
	most    = 24 // texts of one field
	outward = 4  // calls that are followed from a parameter to its values
)

// speech finds messages. A parameter of a function is written \x00FUNCTION\x01INDEX\x00 in a text until
// the calls of the function tell its value.
type speech struct {
	functions map[string]*function // by full name
	values    map[string]ast.Expr  // of variables of packages, by "path.name"
	of        map[ast.Expr]*packages.Package
	calls     map[string][]call
	params    map[types.Object]string
	spoken    map[token.Pos]bool // errors.New and fmt.Errorf that are part of a message
	depth     int
	busy      map[string]bool         // variables whose values are being found
	seen      map[string][]assignment // what assignments found before
	said      map[string][]string     // what returned found before
	inner     map[*function][]*function
}

type function struct {
	p    *packages.Package
	body *ast.BlockStmt
	key  string
}

// call is one call of a function, and where it stands.
type call struct {
	*ast.CallExpr
	in *function
}

// scope is where an expression is evaluated: in a function, and after the assignments of one block.
type scope struct {
	*function
	block   ast.Node
	literal ast.Node // of a message, if the scope is that of one
}

func hear(all []*packages.Package) *speech {
	s := &speech{
		functions: map[string]*function{}, values: map[string]ast.Expr{}, of: map[ast.Expr]*packages.Package{},
		calls: map[string][]call{}, params: map[types.Object]string{}, spoken: map[token.Pos]bool{},
		busy: map[string]bool{}, seen: map[string][]assignment{}, said: map[string][]string{}, inner: map[*function][]*function{},
	}
	for _, p := range all {
		for _, f := range p.Syntax {
			for _, d := range f.Decls {
				s.declare(p, d)
			}
		}
	}
	keys := slices.Sorted(maps.Keys(s.functions))
	for _, key := range keys {
		f := s.functions[key]
		for _, g := range s.functions {
			if g != f && g.p == f.p && f.body.Pos() < g.body.Pos() && g.body.End() <= f.body.End() {
				s.inner[f] = append(s.inner[f], g)
			}
		}
	}
	for _, key := range keys {
		f := s.functions[key]
		ast.Inspect(f.body, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				if key := calleeOf(f.p, c); key != "" && s.innermost(f, c) {
					s.calls[key] = append(s.calls[key], call{c, f})
				}
			}
			return true
		})
	}
	return s
}

// innermost reports whether n is not in a closure of f that is a function of its own.
func (s *speech) innermost(f *function, n ast.Node) bool {
	return !slices.ContainsFunc(s.inner[f], func(g *function) bool { return g.body.Pos() <= n.Pos() && n.End() <= g.body.End() })
}

func (s *speech) declare(p *packages.Package, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Body == nil {
			return
		}
		s.add(p, p.TypesInfo.Defs[d.Name].(*types.Func).FullName(), d.Type, d.Body)
		ast.Inspect(d.Body, func(n ast.Node) bool { // closures with a name
			if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == 1 && len(a.Rhs) == 1 {
				id, named := a.Lhs[0].(*ast.Ident)
				if lit, closure := a.Rhs[0].(*ast.FuncLit); closure && named && p.TypesInfo.Defs[id] != nil {
					s.add(p, p.Fset.Position(id.Pos()).String(), lit.Type, lit.Body)
				}
			}
			return true
		})
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if v, ok := spec.(*ast.ValueSpec); ok && len(v.Values) == len(v.Names) {
				for i, id := range v.Names {
					s.values[p.PkgPath+"."+id.Name], s.of[v.Values[i]] = v.Values[i], p
				}
			}
		}
		// A table of a package may hold messages, and functions that make them.
		name := fmt.Sprint(p.Fset.Position(d.Pos()))
		s.functions[name] = &function{p, &ast.BlockStmt{Lbrace: d.Pos(), List: []ast.Stmt{&ast.DeclStmt{Decl: d}}, Rbrace: d.End()}, name}
	}
}

func (s *speech) add(p *packages.Package, key string, t *ast.FuncType, body *ast.BlockStmt) {
	s.functions[key] = &function{p, body, key}
	i := 0
	for _, field := range t.Params.List {
		for _, id := range field.Names {
			s.params[p.TypesInfo.Defs[id]] = fmt.Sprintf("\x00%s\x01%d\x00", key, i)
			i++
		}
	}
}

// calleeOf returns the key of the function that c calls; "" if that is not known.
func calleeOf(p *packages.Package, c *ast.CallExpr) string {
	var id *ast.Ident
	switch f := ast.Unparen(c.Fun).(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	default:
		return ""
	}
	switch o := p.TypesInfo.Uses[id].(type) {
	case *types.Func:
		return o.Origin().FullName()
	case *types.Var:
		return p.Fset.Position(o.Pos()).String()
	}
	return ""
}

// verbs are those of a format whose arguments the caller of a function gives.
var verbs = regexp.MustCompile(`%[-+#0-9.]*[vsdqxwTt]`)

// finished returns m with what can be known.
func finished(m message) message {
	for _, field := range m.fields() {
		texts := make([]string, 0, len(*field))
		for _, t := range *field {
			if t == "0" { // a result of another kind
				t = unknown
			}
			texts = append(texts, strings.TrimSpace(strings.ReplaceAll(verbs.ReplaceAllString(t, unknown), itself, unknown)))
		}
		*field = limited(texts)
	}
	if len(only(m.kind)) > 3 {
		m.kind = nil // the cause decides
	}
	return m
}

// messages returns all that the packages say.
func (s *speech) messages() (all []message) {
	for _, key := range slices.Sorted(maps.Keys(s.functions)) {
		f := s.functions[key]
		ast.Inspect(f.body, func(n ast.Node) bool {
			if e, ok := n.(ast.Expr); ok && s.innermost(f, n) {
				for _, m := range s.at(f, e) {
					all = append(all, s.outward(m)...)
				}
			}
			return true
		})
	}
	return append(all, s.bare()...)
}

// bare returns the errors that are no part of a message that was found: they are the causes of others.
func (s *speech) bare() (all []message) {
	for _, key := range slices.Sorted(maps.Keys(s.functions)) {
		f := s.functions[key]
		ast.Inspect(f.body, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if key := ""; ok && s.innermost(f, n) && !s.spoken[c.Pos()] {
				if key = calleeOf(f.p, c); key == "errors.New" || key == "fmt.Errorf" {
					m := message{room: room(f.p.PkgPath), cause: s.texts(scope{function: f}, c), remaining: outward}
					all = append(all, s.outward(m)...)
				}
			}
			return true
		})
	}
	return all
}

// at returns the messages that the expression e makes, one for each block that changes what it uses.
func (s *speech) at(f *function, e ast.Expr) (all []message) {
	switch e := e.(type) {
	case *ast.CompositeLit:
		named, ok := types.Unalias(f.p.TypesInfo.TypeOf(e)).(*types.Named)
		if !ok || named.Obj().Pkg() == nil {
			return nil
		}
		fields := spoken[room(named.Obj().Pkg().Path())+"."+named.Obj().Name()]
		_, root := says[strings.ReplaceAll(f.key, module+"/", "")]
		if fields == nil || len(e.Elts) == 0 || root {
			return nil
		}
		for _, block := range append([]ast.Node{nil}, s.blocks(f, e)...) {
			if m, ok := s.literal(scope{f, block, e}, named, e, fields); ok {
				all = append(all, m)
			}
		}
	case *ast.CallExpr:
		m, ok := says[strings.ReplaceAll(calleeOf(f.p, e), module+"/", "")]
		if !ok {
			return nil
		}
		m.room, m.remaining, m.cause = room(f.p.PkgPath), outward, s.texts(scope{function: f}, e.Args[m.at])
		if !m.note {
			m.hint = s.texts(scope{function: f}, e.Args[m.at+1])
		}
		all = append(all, m)
	}
	return all
}

// literal reads one composite literal.
func (s *speech) literal(in scope, named *types.Named, e *ast.CompositeLit, fields map[string]string) (message, bool) {
	m := message{room: room(in.p.PkgPath), remaining: outward, note: named.Obj().Name() != "Fault" && named.Obj().Name() != "hinted"}
	into := map[string]*[]string{"kind": &m.kind, "side": &m.side, "op": &m.op, "cause": &m.cause, "hint": &m.hint}
	holder := s.holder(in.function, e)
	for i, elt := range e.Elts {
		field, value := "", elt
		if kv, ok := elt.(*ast.KeyValueExpr); ok {
			field, value = kv.Key.(*ast.Ident).Name, kv.Value
		} else if st, ok := named.Underlying().(*types.Struct); ok {
			field = st.Field(i).Name()
		}
		if to := into[fields[field]]; to != nil {
			*to = s.texts(in, value)
		}
	}
	if holder != nil && in.block != nil {
		for field, to := range fields {
			set := s.assignments(in.function, holder, field)
			if !slices.ContainsFunc(set, func(a assignment) bool { return a.block == in.block }) {
				continue
			}
			was := first(*into[to])
			*into[to] = s.assigned(in, holder, field)
			for i, t := range *into[to] {
				(*into[to])[i] = strings.ReplaceAll(t, itself, was)
			}
		}
	}
	return m, !m.note || len(m.cause) > 0 && m.cause[0] != ""
}

// holder returns the variable to which f assigns the literal e; nil if there is none.
func (s *speech) holder(f *function, e *ast.CompositeLit) (o types.Object) {
	ast.Inspect(f.body, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
			for i, r := range a.Rhs {
				if u, ok := r.(*ast.UnaryExpr); ok {
					r = u.X
				}
				if id, named := a.Lhs[i].(*ast.Ident); named && r == ast.Expr(e) {
					o = cmp.Or(f.p.TypesInfo.Defs[id], f.p.TypesInfo.Uses[id])
				}
			}
		}
		return true
	})
	return o
}

// blocks returns the blocks of f, other than the outermost, that assign to what e uses or to fields of the
// variable that holds e.
func (s *speech) blocks(f *function, e *ast.CompositeLit) (all []ast.Node) {
	count := func(o types.Object, field string) {
		for _, a := range s.assignments(f, o, field) {
			if a.block != f.body && !slices.Contains(all, a.block) {
				all = append(all, a.block)
			}
		}
	}
	ast.Inspect(e, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if v, ok := f.p.TypesInfo.Uses[id].(*types.Var); ok && !v.IsField() && v.Parent() != v.Pkg().Scope() {
				count(v, "")
			}
		}
		return true
	})
	if o := s.holder(f, e); o != nil {
		for _, field := range []string{"Kind", "Side", "Op", "Err", "Hint"} {
			count(o, field)
		}
	}
	return slices.DeleteFunc(all, func(b ast.Node) bool { return b.Pos() <= e.Pos() && e.End() <= b.End() })
}

// outward follows the parameters in m to the calls of their functions: within the package, and further if a
// field is nothing but a parameter.
func (s *speech) outward(m message) []message {
	key, whole := "", false
	for _, field := range m.fields() {
		for _, t := range *field {
			if _, after, found := strings.Cut(t, "\x00"); found && key == "" {
				key, _, _ = strings.Cut(after, "\x01")
			}
			whole = whole || strings.HasPrefix(t, "\x00"+key+"\x01") && strings.Count(t, "\x00") == 2 && strings.HasSuffix(t, "\x00")
		}
	}
	if key == "" {
		return []message{finished(m)}
	}
	var calls []call
	for _, c := range s.calls[key] {
		if m.remaining > 0 && (whole || room(c.in.p.PkgPath) == m.room) {
			calls = append(calls, c)
		}
	}
	if len(calls) == 0 {
		for _, field := range m.fields() {
			*field = replaced(*field, key, nil)
		}
		return s.outward(m)
	}
	var all []message
	for _, c := range calls {
		n := m
		n.room, n.remaining = room(c.in.p.PkgPath), m.remaining-1
		args := make([][]string, len(c.Args))
		for i, a := range c.Args {
			args[i] = s.texts(scope{function: c.in}, a)
		}
		for _, field := range n.fields() {
			*field = replaced(*field, key, args)
		}
		all = append(all, s.outward(n)...)
	}
	return all
}

func (m *message) fields() []*[]string {
	return []*[]string{&m.kind, &m.side, &m.op, &m.cause, &m.hint}
}
