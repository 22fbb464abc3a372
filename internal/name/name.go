package name

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/shell"
	"github.com/drayage/dray/ref"
)

// Reader parses names as users write them. What a name may mean depends on its side:
//
//   - [fault.Target]: something is written there, so the registry must be a configured name or a host.
//     A short name such as "team/app" is an error, and not a repository of Docker Hub.
//   - [fault.Source], and "" for a name that is only looked at: a short name is one of Docker Hub.
//
// A word without a slash is a registry if it is a configured name, or has a dot or a port, or is
// localhost. Where only an image can be meant, "redis:7" is an image, and not a port.
type Reader struct {
	// Hosts has the hosts of the configured registries by their names and by their aliases. An alias
	// that is a host has the form that ref.Host returns.
	Hosts map[string]string

	// Default is the registry, by name or host, that an import goes to if the request names
	// none; "" means that there is no default.
	Default string

	// Missing is the file that would name registries, if it does not exist. Errors and notes about
	// names mention it.
	Missing string

	// Pin is called with the scheme, "http" or "https", that the user wrote before a host. Its
	// error is returned.
	Pin func(host, scheme string) error

	Words Words // how hints and notes call the parts of a request

	watch event.Observer
	noted map[string]bool // what there is a note about; nil makes no notes
}

// Noting returns a Reader for the names of one request. If the way in which it reads a name may surprise
// the user, it tells obs with a [event.Noted].
func (r *Reader) Noting(obs event.Observer) *Reader {
	noting := *r
	noting.watch, noting.noted = obs, map[string]bool{}
	return &noting
}

// note makes a note, unless there is one about the same thing already.
func (r *Reader) note(about, text string) {
	if r.noted != nil && !r.noted[about] {
		r.noted[about] = true
		r.watch.Tell(event.Event{Kind: event.Noted, Text: text})
	}
}

// Host returns the canonical host of a registry. The name may be a configured name or an alias, or a host
// with or without "https://" or "http://" before it. The error is Invalid.
func (r *Reader) Host(name string) (string, error) {
	if err := ref.NoLogin(name); err != nil {
		return "", err
	}
	scheme, rest := cutScheme(strings.TrimSuffix(name, "/"))
	host, known := r.known(rest)
	if known {
		return host, r.pin(host, scheme)
	}
	if err := r.foreign(rest); err != nil {
		return "", err
	}
	host, err := ref.Host(rest)
	switch {
	case err != nil:
		return "", err
	case !ref.LooksLikeHost(rest):
		return "", r.stranger(name, rest, r.similar(rest, ""), "write HOST or HOST:PORT")
	}
	return host, r.pin(host, scheme)
}

// Parse parses a full name such as "registry.example/team/app:v1". The first component may be the
// name of a configured registry, and "http://" or "https://" may precede a host. The error is Invalid.
func (r *Reader) Parse(s string, side fault.Side) (ref.Name, error) {
	n, err := r.parse(s, side)
	return n, fault.On(side, err)
}

func (r *Reader) parse(s string, side fault.Side) (ref.Name, error) {
	if err := ref.NoLogin(s); err != nil {
		return ref.Name{}, err
	}
	scheme, rest := cutScheme(s)
	if scheme == "" {
		if err := r.foreign(rest); err != nil {
			return ref.Name{}, err
		}
	}
	first, path, slash := strings.Cut(rest, "/")
	host, known := r.known(first)
	switch {
	case ref.IsLayout(rest) && scheme != "":
		return ref.Name{}, fault.Misuse("parse name", s, "an image layout has no http:// or https:// address",
			"write oci:DIR")
	case ref.IsLayout(rest):
		return ref.Parse(rest)
	case !slash:
		return r.parseWord(scheme, rest, side)
	case known && path == "":
		return ref.Parse(host + "/") // its error names the host
	case path != "" && strings.HasSuffix(path, "/") && r.isRegistry(first):
		return ref.Name{}, fault.Misuse("parse name", s, "this names a prefix, not a repository",
			"leave the slash off the end")
	case known:
		n, err := ref.ParseIn(host, path)
		if err != nil {
			return ref.Name{}, about(s, err)
		}
		return n, r.pin(host, scheme)
	case ref.LooksLikeHost(first):
		n, err := ref.Parse(rest)
		if err != nil {
			return ref.Name{}, err
		}
		return n, r.pin(n.Host, scheme)
	case side == fault.Target || scheme != "" || strings.HasSuffix(rest, "/"):
		return ref.Name{}, r.strangerPath(s, first, rest)
	}
	n, err := ref.Parse(rest)
	if err == nil {
		r.noteShort(rest, first, n)
	}
	return n, err
}

// parseWord parses rest, a name without a slash.
func (r *Reader) parseWord(scheme, rest string, side fault.Side) (ref.Name, error) {
	n, err := ref.Parse(rest)
	word := wordOf(rest)
	_, known := r.known(word)
	switch {
	case known || isHost(rest) || scheme != "":
		if isNumbered(rest) && isHost(rest) {
			word = rest
		}
		hint := "write " + word + "/REPOSITORY[:TAG]"
		if err == nil && side != fault.Target && !isHost(rest) && word != rest { // "redis:7", and "redis" is configured
			hint += ", or " + n.String() + " for Docker Hub"
		}
		return ref.Name{}, fault.Misuse("parse name", rest, "this names a registry, not a repository", hint)
	case err != nil:
		return ref.Name{}, err
	case side == fault.Target:
		hint := "write HOST/" + rest + " with the host or the name of a registry"
		return ref.Name{}, r.stranger(rest, word, r.similar(word, "/REPOSITORY"), hint+", or "+n.String()+" for Docker Hub")
	}
	return n, nil
}

// foreign returns the error of a name that begins with a transport of another tool, or with a mistyped one; nil if it
// does not.
func (r *Reader) foreign(s string) error {
	word, rest, ok := strings.Cut(s, ":")
	if _, known := r.known(word); known || ref.IsLayout(s) {
		return nil
	}
	if err := ref.Foreign(s); err != nil || !ok || isHost(word) || isNumbered(s) || strings.Contains(word, "/") {
		return err
	}
	if port, _, _ := strings.Cut(rest, "/"); isNumbered("x:" + port) {
		return nil
	}
	var meant []string
	for _, transport := range []string{ref.Layout, ref.Archive, ref.DockerArchive, ref.Directory} {
		if near := strings.TrimSuffix(transport, ":"); isMistyped(word, near) {
			meant = append(meant, shell.Quote(transport+strings.TrimPrefix(rest, "//")))
		}
	}
	if len(meant) == 0 {
		return nil
	}
	hint := "write " + strings.Join(meant, " or ")
	if n, err := ref.Parse(s); err == nil {
		hint += ", or " + n.String() + " for Docker Hub"
	}
	return fault.Misuse("parse name", s, "dray has no transport "+word+":", hint)
}

// Registry parses names such as "HOST", "HOST/" and "HOST/PREFIX/". ok is false if s is a name of
// another form.
func (r *Reader) Registry(s string) (host, prefix string, ok bool, err error) {
	scheme, rest := cutScheme(s)
	first, path, _ := strings.Cut(rest, "/")
	isPrefix := path == "" || strings.HasSuffix(path, "/")
	if ref.IsLayout(rest) || !isPrefix || !r.isRegistry(first) {
		return "", "", false, nil
	}
	if scheme != "" {
		first = scheme + "://" + first
	}
	host, err = r.Host(first)
	return host, path, true, err
}

// isRegistry reports whether a word without a slash is a registry: a configured name, a host with a dot,
// localhost, or a host with a port.
func (r *Reader) isRegistry(word string) bool {
	if _, known := r.known(word); known {
		return true
	}
	return !strings.Contains(word, "@") && (isHost(word) || isNumbered(word))
}

// isHost reports whether a word without a slash can only be a host.
func isHost(word string) bool {
	host := wordOf(word)
	return strings.ContainsAny(host, ".[") || strings.EqualFold(host, "localhost")
}

// isNumbered reports whether a word ends in a colon and a number, which is a port or a tag.
func isNumbered(word string) bool {
	_, port, _ := strings.Cut(word, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// wordOf returns a word without its port, tag and digest.
func wordOf(word string) string {
	word, _, _ = strings.Cut(word, "@")
	if strings.HasPrefix(word, "[") { // an IPv6 address
		return word
	}
	word, _, _ = strings.Cut(word, ":")
	return word
}

// known returns the host of the configured registry that has this name or alias.
func (r *Reader) known(name string) (host string, ok bool) {
	if host, ok = r.Hosts[name]; !ok && ref.LooksLikeHost(name) {
		if typed, err := ref.Host(name); err == nil {
			host, ok = r.Hosts[typed]
		}
	}
	return host, ok
}

// noteShort makes a note about a name of Docker Hub that may be meant for another registry.
func (r *Reader) noteShort(s, first string, n ref.Name) {
	text := s + " is read as " + n.String()
	near := r.near(first)
	switch {
	case first == "library":
	case len(near) > 0:
		r.note(first, text+", although "+resembles(first, near[0]))
	case r.Missing != "":
		r.note(first, text+": "+r.missing())
	}
}

// stranger returns the error about a name that begins with neither a configured registry nor a host.
// The hint proposes similar names, and then what else helps; "" if nothing else does.
func (r *Reader) stranger(s, first string, similar []string, hint string) error {
	if len(similar) > 0 {
		proposal := "write " + strings.Join(similar, " or ")
		if hint != "" {
			proposal += ", or " + strings.TrimPrefix(hint, "write ")
		}
		hint = proposal
	}
	return r.strangerHint(s, first, hint)
}

// strangerPath is stranger for a name whose part rest begins with first and a slash. Docker Hub has no
// repositories below a prefix, so a prefix is hardly meant for it.
func (r *Reader) strangerPath(s, first, rest string) error {
	similar, hint := r.similar(first, lowered(rest[len(first):])), atDockerHub(rest)
	if len(similar) > 0 && strings.HasSuffix(rest, "/") {
		hint = ""
	}
	return r.stranger(s, first, similar, hint)
}

// strangerHint is stranger with the whole hint.
func (r *Reader) strangerHint(s, first, hint string) error {
	if r.Missing != "" {
		hint += "; " + r.missing()
	}
	if strings.ContainsFunc(s, unicode.IsSpace) {
		s = strconv.Quote(s)
	}
	return fault.Misuse("parse name", s, strconv.Quote(first)+" is neither a configured registry nor a host", hint)
}

// about returns the error of a part of a name as one about the name s.
func about(s string, err error) error {
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok {
		return err
	}
	whole := *f
	whole.Name = s
	return &whole
}

// atDockerHub returns the hint that says how to write rest if it is meant to be a name of Docker Hub.
func atDockerHub(rest string) string {
	if _, err := ref.Parse(ref.DockerHub + "/" + strings.TrimSuffix(rest, "/")); err != nil {
		return "begin with the host or the name of a registry"
	}
	return "write docker.io/" + rest + " for Docker Hub"
}

// lowered returns a path with its repository in lower case, as every repository is; a tag stays as it is.
func lowered(path string) string {
	end := strings.IndexAny(path+":", ":@")
	return strings.ToLower(path[:end]) + path[end:]
}

func resembles(word, name string) string {
	return strconv.Quote(word) + " resembles the configured registry " + strconv.Quote(name)
}

func (r *Reader) missing() string { return "no configuration file was found at " + r.Missing }

// similar returns the names of configured registries that resemble word, each with rest behind it.
func (r *Reader) similar(word, rest string) []string {
	if same := r.otherCase(word); len(same) > 0 {
		return behind(same, rest)
	}
	return behind(Similar(strings.ToLower(word), r.names()), rest)
}

// near is similar, but it returns only names of which word may be a typing error.
func (r *Reader) near(word string) []string {
	if same := r.otherCase(word); len(same) > 0 {
		return same
	}
	if _, known := r.known(word); known {
		return nil
	}
	return mistyped(strings.ToLower(word), r.names())
}

// otherCase returns the names of configured registries that differ from word only in upper and lower case.
func (r *Reader) otherCase(word string) []string {
	return slices.DeleteFunc(r.names(), func(name string) bool { return name == word || !strings.EqualFold(name, word) })
}

// behind returns names, each with rest behind it.
func behind(names []string, rest string) []string {
	var all []string
	for _, name := range names {
		all = append(all, name+rest)
	}
	return all
}

// names returns the names of the configured registries and their aliases, but not those that are hosts.
func (r *Reader) names() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(r.Hosts)), ref.LooksLikeHost)
}

// pin reports the scheme that the user wrote before host to r.Pin. It does nothing if there was
// none.
func (r *Reader) pin(host, scheme string) error {
	if scheme == "" {
		return nil
	}
	return r.Pin(host, scheme)
}

func cutScheme(s string) (scheme, rest string) {
	s = ref.CutTransport(s)
	for _, scheme := range []string{"http", "https"} {
		if rest, ok := strings.CutPrefix(s, scheme+"://"); ok {
			return scheme, rest
		}
	}
	return "", s
}
