package remote_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// mirrors is a registry with mirrors that have the same content, in virtual time.
type mirrors struct {
	*testing.T
	home   *testbed.Registry
	all    []*testbed.Registry
	repo   *remote.Repository
	events *events
	data   []byte
	blob   oci.Descriptor
}

// mirrored runs test against a registry whose mirrors have the given faults.
func mirrored(t *testing.T, test func(m *mirrors), faults ...[]*hostile.Fault) {
	t.Helper()
	mirroredAt(t, nil, test, faults...)
}

// mirroredAt is mirrored for a registry that has faults itself.
func mirroredAt(t *testing.T, home []*hostile.Fault, test func(m *mirrors), faults ...[]*hostile.Fault) {
	t.Helper()
	homeStore, store := testbed.NewDistribution(t, testbed.Options{}), testbed.NewDistribution(t, testbed.Options{})
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) })
		m := &mirrors{T: t, events: &events{}}
		m.data, m.blob = noise(t, 7, mib)
		m.home = hostile.Serve(t, homeStore, testbed.Options{Wire: testbed.Pipes, Host: "home.example:80"}, home...)
		m.home.Blob(t, "app", m.blob.MediaType, m.data)
		set := credential.Settings{PlainHTTP: true}
		for i, f := range faults {
			at := hostile.Serve(t, store, testbed.Options{Wire: testbed.Pipes, Host: "mirror-" + string(rune('a'+i)) + ".example:80"}, f...)
			if i == 0 {
				at.Blob(t, "app", m.blob.MediaType, m.data)
			}
			m.all = append(m.all, at)
			set.Mirrors = append(set.Mirrors, at.Host)
		}
		c, err := remote.New(remote.Options{
			CertDirs: []string{}, Default: credential.Settings{PlainHTTP: true},
			Hosts: map[string]credential.Settings{m.home.Host: set},
			Dial:  testbed.Dialer(append([]*testbed.Registry{m.home}, m.all...)...),
		})
		must(t, err)
		t.Cleanup(c.Close)
		m.repo = c.Open(repo(m.home, "app"), remote.Use{Observe: m.events.watch()})
		for _, r := range append([]*testbed.Registry{m.home}, m.all...) {
			r.Reset()
		}
		test(m)
	})
}

func (m *mirrors) read() time.Duration {
	m.Helper()
	begin := time.Now()
	body, from, err := m.repo.Blob(m.Context(), m.blob, 0, -1)
	must(m, err)
	defer body.Close()
	got, err := io.ReadAll(body)
	must(m, err)
	if !bytes.Equal(got[from:], m.data) {
		m.Error("the bytes differ")
	}
	return time.Since(begin)
}

// told checks that the notes are about these mirrors, once each.
func (m *mirrors) told(texts ...string) {
	m.Helper()
	notes := m.events.of(event.Noted)
	if len(notes) != len(texts) {
		m.Fatalf("noted %v, want %q", notes, texts)
	}
	for i, text := range texts {
		if !strings.Contains(notes[i].Text, text) {
			m.Errorf("noted %q, want %q", notes[i].Text, text)
		}
	}
}

func (m *mirrors) requests(home int, of ...int) {
	m.Helper()
	if n := m.home.Requests(); n != home {
		m.Errorf("%d requests to the registry, want %d", n, home)
	}
	for i, want := range of {
		if n := m.all[i].Requests(); n != want {
			m.Errorf("%d requests to %s, want %d", n, m.all[i].Host, want)
		}
	}
}

func TestF85ADeadMirrorIsLeftOutAfterItsFirstFailure(t *testing.T) {
	mirrored(t, func(m *mirrors) {
		for i, want := range []time.Duration{30 * time.Second, 0, 0} {
			if took := m.read(); took != want {
				m.Errorf("read %d took %v, want %v", i, took, want)
			}
		}
		m.requests(3, 1)
		m.told("the mirror mirror-a.example:80 is left out for 10 minutes: no answer for 30s")
		time.Sleep(10 * time.Minute)
		m.read()
		m.requests(4, 2)
		m.told("left out for 10 minutes", "left out for 10 minutes")
	}, []*hostile.Fault{hostile.NoHeader(0)})
}

func TestF85NobodyWaitsLongWhileOneRequestFindsOutThatAMirrorIsDead(t *testing.T) {
	mirrored(t, func(m *mirrors) {
		var all sync.WaitGroup
		slow := make(chan time.Duration, 20)
		for range cap(slow) {
			all.Go(func() { slow <- m.read() })
		}
		all.Wait()
		close(slow)
		waited := 0
		for took := range slow {
			if took > time.Second {
				waited++
			}
		}
		if waited != 1 {
			m.Errorf("%d of %d reads waited", waited, cap(slow))
		}
		m.requests(20, 1)
		m.told("left out")
	}, []*hostile.Fault{hostile.NoHeader(0)})
}

// Some networks reach their mirrors only. What was asked of the registry meanwhile is asked there in the end.
func TestF85AMirrorIsEnoughIfTheRegistryCannotBeReached(t *testing.T) {
	mirrored(t, func(m *mirrors) {
		m.home.Host = "unreachable.example:80" // the dialer of this test knows hosts by this name
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { m.read() })
		}
		all.Wait()
		m.requests(0, 8)
		m.told()
	}, []*hostile.Fault{hostile.NoHeader(3 * time.Second)})
	mirrored(t, func(m *mirrors) {
		m.home.Host = "unreachable.example:80"
		m.read()
		m.read()
		m.requests(0, 3)
		m.told("left out")
	}, []*hostile.Fault{hostile.NoHeader(0).Once()})
}

func TestF85TheNextMirrorIsAskedAndTheRegistryIsTheLast(t *testing.T) {
	mirrored(t, func(m *mirrors) {
		for range 3 {
			m.read()
		}
		m.requests(0, 1, 3)
		m.told("mirror-a.example:80 is left out")
	}, []*hostile.Fault{hostile.NoHeader(0)}, nil)
}

func TestF85AMirrorThatAnswersIsNotDead(t *testing.T) {
	for name, tt := range map[string]struct {
		fault    *hostile.Fault
		requests int // to the mirror
		told     []string
	}{
		"404": {hostile.Status(404, nil, ""), 3, nil},
		"403": {hostile.Status(403, nil, ""), 4, []string{"mirror-a.example:80 fails, so dray reads from the next place: the registry answers 403"}},
		"503": {hostile.Status(503, nil, ""), 3, []string{"mirror-a.example:80 fails, so dray reads from the next place: the registry answers 503"}},
	} {
		t.Run(name, func(t *testing.T) {
			mirrored(t, func(m *mirrors) {
				m.read()
				m.read()
				m.read()
				m.requests(2, tt.requests)
				m.told(tt.told...)
			}, []*hostile.Fault{tt.fault.On("GET", testbed.Blob).Times(2)})
		})
	}
}

func TestF85AMirrorThatIsAWebPageIsLeftOut(t *testing.T) {
	page := hostile.Status(200, map[string][]string{"Content-Type": {"text/html"}}, "<html><body>Sign in</body></html>")
	mirrored(t, func(m *mirrors) {
		m.read()
		m.read()
		m.requests(2, 1)
		m.told("left out for 10 minutes: a web page of mirror-a.example:80 answers")
	}, []*hostile.Fault{page})
}

// The rest of a blob comes from the next place.
func TestF85AMirrorThatBreaksABodyIsLeftOut(t *testing.T) {
	mirrored(t, func(m *mirrors) {
		body, _, err := m.repo.Blob(m.Context(), m.blob, 0, -1)
		must(m, err)
		got, err := io.ReadAll(body)
		must(m, body.Close())
		if err == nil || len(got) == 0 {
			m.Fatalf("%d bytes, %v", len(got), err)
		}
		rest, from, err := m.repo.Blob(m.Context(), m.blob, int64(len(got)), -1)
		must(m, err)
		defer rest.Close()
		more, err := io.ReadAll(rest)
		must(m, err)
		if !bytes.Equal(append(got[:from], more...), m.data) {
			m.Error("the bytes differ")
		}
		m.requests(1, 1)
		m.told("left out for 10 minutes: ")
	}, []*hostile.Fault{hostile.CutBodyAt(mib / 2)})
}
