//go:build unix

package server_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/drayage/dray/cmd/internal/client"
	"github.com/drayage/dray/cmd/internal/job"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/testbed"
)

// use is what a client does with a tag: it reads the digest, or sets it to one.
type use struct {
	tag   string
	write bool
	value string // the digest that is written
}

// registers is the model: each tag is a register that holds a digest, "" at the beginning. A read returns what the last
// write before it wrote. A write that was refused changed nothing.
var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byTag := map[string][]porcupine.Operation{}
		for _, op := range history {
			tag := op.Input.(use).tag
			byTag[tag] = append(byTag[tag], op)
		}
		var all [][]porcupine.Operation
		for _, ops := range byTag {
			all = append(all, ops)
		}
		return all
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(use); in.write {
			return true, in.value
		}
		return output == state, state
	},
	DescribeOperation: func(input, output any) string {
		if in := input.(use); in.write {
			return in.tag + " = " + in.value
		}
		return fmt.Sprint(input.(use).tag, " is ", output)
	},
}

// keeper notes what the clients of a history did.
type keeper struct {
	begin time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (k *keeper) now() int64 { return int64(time.Since(k.begin)) }

func (k *keeper) note(who int, in use, out any, call int64) {
	k.add(who, in, out, call, k.now())
}

func (k *keeper) add(who int, in use, out any, call, end int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ops = append(k.ops, porcupine.Operation{ClientId: who, Input: in, Call: call, Output: out, Return: end})
}

// count returns how many writes and reads there were.
func (k *keeper) count() (writes, reads int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, op := range k.ops {
		if op.Input.(use).write {
			writes++
		}
	}
	return writes, len(k.ops) - writes
}

// Sixteen clients import, copy and re-tag images to the same few tags, and read them, while the server is killed. Each
// tag behaves as one register (linearizability): a job takes effect once, between its submission and its end.
func TestTagsAreRegistersWhileTheServerIsKilled(t *testing.T) {
	source := testbed.Distribution(t, testbed.Options{Content: testbed.Open})
	var digests []string
	for i := range 24 {
		image := testbed.Random(t, source, "app", fmt.Sprint("v", i), testbed.RandomOptions{Size: 100, Seed: uint64(i + 1)})
		digests = append(digests, string(image.Root.Digest))
	}
	c := &child{t: t, data: t.TempDir(), listen: freeAddr(t), source: source.Host}
	c.start()
	t.Cleanup(func() { c.kill() })
	remote, err := client.New(client.Config{URL: "http://" + c.listen})
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	// The images are there under tags of their own, for those who re-tag.
	if _, err := finished(t.Context(), remote, "all", wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{Source: "src/app", Targets: []string{"dray/reg"}, All: "all"}}); err != nil {
		t.Fatal(err)
	}
	k := &keeper{begin: time.Now()}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var clients sync.WaitGroup
	for who := range 16 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				k.act(t, remote, c.listen, who, n, digests)
			}
		})
	}
	for range kills(t) {
		time.Sleep(time.Duration(300+rand.IntN(700)) * time.Millisecond)
		c.kill()
		c.start()
	}
	// On a busy machine, the clients need more time than the kills leave them.
	for late := time.After(2 * time.Minute); ctx.Err() == nil; {
		writes, reads := k.count()
		select {
		case <-late:
			t.Errorf("only %d writes and %d reads", writes, reads)
			stop()
		case <-time.After(50 * time.Millisecond):
			if writes >= 20 && reads >= 20 {
				stop()
			}
		}
	}
	clients.Wait()
	result, info := porcupine.CheckOperationsVerbose(registers, k.ops, 2*time.Minute)
	if result != porcupine.Ok {
		t.Errorf("the history of %d operations is %s", len(k.ops), result)
		if path := t.ArtifactDir() + "/history.html"; porcupine.VisualizePath(registers, info, path) == nil {
			t.Log("see", path)
		}
	}
	writes, reads := k.count()
	t.Logf("%d writes and %d reads", writes, reads)
}

// act does one thing with one or two tags, and notes it.
func (k *keeper) act(t *testing.T, remote *client.Client, addr string, who, n int, digests []string) {
	t.Helper()
	i := rand.IntN(len(digests))
	first := rand.IntN(4)
	tags := []string{fmt.Sprint("t", first)}
	var r wire.Request
	switch rand.IntN(5) {
	case 0:
		r = wire.Request{Kind: wire.KindImport, Import: &wire.Import{Source: fmt.Sprint("src/app:v", i), Target: "dray", Images: []string{"reg:" + tags[0]}, Overwrite: "update"}}
	case 1:
		r = wire.Request{Kind: wire.KindTag, Tag: &wire.Tag{Image: "dray/reg@" + digests[i], Tags: tags}}
	case 2:
		tags = append(tags, fmt.Sprint("t", (first+1)%4))
		r = wire.Request{Kind: wire.KindCopy, Copy: &wire.Copy{Source: fmt.Sprint("src/app:v", i), Targets: []string{"dray/reg:" + tags[0], "dray/reg:" + tags[1]}}}
	default:
		call := k.now()
		if digest, ok := read(t, addr, tags[0]); ok {
			k.note(who, use{tag: tags[0]}, digest, call)
		}
		return
	}
	call := k.now()
	// A job that was submitted is waited for, also after the load has ended.
	j, err := finished(t.Context(), remote, fmt.Sprint(who, "-", n), r)
	switch {
	case err != nil:
		t.Error(err)
	case j.State == job.Done:
		for _, tag := range tags {
			k.note(who, use{tag, true, digests[i]}, nil, call)
		}
	case j.Failure == nil || j.Failure.Kind != fault.Moved:
		t.Errorf("%s %s: %+v", j.Kind, j.State, j.Failure)
	case len(tags) > 1: // One of them may be set. A write that may have happened fits before the end of the history or never.
		for _, tag := range tags {
			k.add(who, use{tag, true, digests[i]}, nil, call, math.MaxInt64)
		}
	}
}

// finished submits r until the server takes it, and waits until it has ended.
func finished(ctx context.Context, c *client.Client, key string, r wire.Request) (wire.Job, error) {
	for {
		j, err := c.Submit(ctx, r, client.How{Key: key})
		if err == nil {
			j, err = c.Wait(ctx, j.ID)
		}
		if err == nil || ctx.Err() != nil || !fault.Is(err, fault.Unavailable) {
			return j, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// read returns the digest of a tag, "" for none. It reports false if the server did not answer.
func read(t *testing.T, addr, tag string) (digest string, ok bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/v2/reg/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "*/*")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	switch resp.StatusCode {
	case http.StatusOK:
		return resp.Header.Get("Docker-Content-Digest"), err == nil
	case http.StatusNotFound:
		return "", err == nil
	}
	return "", false
}

func TestTheModelOfRegistersRefusesAReadOfWhatWasOverwritten(t *testing.T) {
	k := &keeper{}
	k.add(1, use{"t", true, "a"}, nil, 0, 10)
	k.add(1, use{"t", true, "b"}, nil, 20, 30)
	k.add(2, use{"t", true, "c"}, nil, 25, math.MaxInt64) // perhaps never
	k.add(3, use{tag: "t"}, "b", 40, 50)
	k.add(3, use{tag: "u"}, "", 40, 50)
	if !porcupine.CheckOperations(registers, k.ops) {
		t.Error("a good history is refused")
	}
	k.add(3, use{tag: "t"}, "a", 60, 70)
	if porcupine.CheckOperations(registers, k.ops) {
		t.Error("a read of a digest that was overwritten is taken")
	}
}
