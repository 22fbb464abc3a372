package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/drayage/dray/cmd/internal/access"
	"github.com/drayage/dray/cmd/internal/server"
	"github.com/drayage/dray/cmd/internal/server/own"
	"github.com/drayage/dray/cmd/internal/store"
	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/registry"
)

func TestAThousandSlowClientsDoNotStopTheOthers(t *testing.T) {
	const stall = 2 * time.Second
	r := run(t, server.Config{Data: t.TempDir(), Stall: stall})
	big := strings.Repeat("0123456789abcdef", 1<<17)    // 2 MiB
	answer := strings.Repeat("0123456789abcdef", 1<<22) // 64 MiB, for one client: more than the buffers of the connection hold
	for _, content := range []string{big, answer} {
		if got := r.pushBlob("", "app", content); got != 201 {
			t.Fatal(got)
		}
	}
	addr := strings.TrimPrefix(r.base, "http://")
	const each = 334
	conns := make([]net.Conn, 0, 3*each)
	for i := range 3 * each {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
		switch i % 3 {
		case 0: // sends half of a header
			fmt.Fprintf(conn, "GET /v2/ HTTP/1.1\r\nHost: %s\r\nX-Slow: ", addr)
		case 1: // does not send the body
			fmt.Fprintf(conn, "POST /v2/app/blobs/uploads/?digest=%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\nabc", digest.FromString("x"), addr)
		case 2: // does not read the answer
			fmt.Fprintf(conn, "GET /v2/app/blobs/%s HTTP/1.1\r\nHost: %s\r\n\r\n", digest.FromString(answer), addr)
			answer = big
		}
	}
	start := time.Now()
	for i := range 20 {
		r.want("GET", "/readyz", nil, 200)
		if got := r.pushBlob("", "app", fmt.Sprint("while they dawdle ", i)); got != 201 {
			t.Fatal(got)
		}
	}
	t.Logf("40 requests took %[2]v with %[1]d slow clients connected", len(conns), time.Since(start))
	// The server closes the connections of clients 1 and 2. Client 0 may take headerTimeout, which is
	// longer. Whoever reads before the stall is over gets the whole answer, and keeps the connection.
	time.Sleep(2 * stall)
	for _, i := range []int{1, 2} {
		conns[i].SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, conns[i]); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("the connection of client %d is not closed: %v", i, err)
		}
	}
}

// A slow client is served to the end, however long that takes, if it never stalls.
func TestASlowClientThatGoesOnIsNotCut(t *testing.T) {
	r := run(t, server.Config{Data: t.TempDir(), Stall: 300 * time.Millisecond})
	at := r.want("POST", "/v2/app/blobs/uploads/", nil, 202).Header.Get("Location")
	content := "a blob that comes in drops"
	read, write := io.Pipe()
	go func() {
		for _, b := range []byte(content) {
			time.Sleep(40 * time.Millisecond)
			write.Write([]byte{b})
		}
		write.Close()
	}()
	if got := r.do("PUT", at+"&digest="+digest.FromString(content).String(), read).StatusCode; got != 201 {
		t.Error(got)
	}
}

func TestMetricsAreForThoseWhoAreSomebodyAndOnAPortOfTheirOwnForAll(t *testing.T) {
	ops := freeAddr(t)
	r := run(t, server.Config{Data: t.TempDir(), Ops: ops, Htpasswd: users(t, "admin"), Roles: map[string]access.Role{"admin": access.Admin}})
	r.pushBlob("admin", "app", "x")
	r.as("admin", "GET", "/v2/app/manifests/none", nil)
	if got := r.as("", "GET", "/metrics", nil).StatusCode; got != 401 {
		t.Error(got)
	}
	for _, at := range []string{r.base, "http://" + ops} {
		raw, _ := io.ReadAll(r.as("admin", "GET", at+"/metrics", nil).Body)
		for _, want := range []string{`dray_http_requests_total{code="404",method="GET",route="/v2/manifests"} 1`, `dray_jobs{state="queued"} 0`, "dray_queue_oldest_seconds 0", "go_goroutines"} {
			if !strings.Contains(string(raw), want) {
				t.Errorf("%s lacks %s", at, want)
			}
		}
		if strings.Contains(string(raw), "app") && strings.Contains(string(raw), `"app"`) {
			t.Error("a repository's name is in a metric")
		}
	}
	if got := r.as("", "GET", "http://"+ops+"/v2/", nil).StatusCode; got != 404 {
		t.Errorf("the port for operators serves the registry: %d", got)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := r.as("", "GET", path, nil).StatusCode; got != 200 {
			t.Error(path, got)
		}
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestABackupMadeWhileTheServerIsWrittenToRestores(t *testing.T) {
	data := t.TempDir()
	c := server.Config{Data: data, Htpasswd: users(t, "admin"), Roles: map[string]access.Role{"admin": access.Admin}}
	r := run(t, c)
	push := func(i int) {
		mark := fmt.Sprint("image ", i)
		r.pushBlob("admin", "app", "{}")
		if got := r.pushManifest("admin", "app", fmt.Sprint("v", i), mark); got != 201 {
			t.Errorf("%d: %d", i, got)
		}
	}
	for i := range 20 {
		push(i)
	}
	var pushing sync.WaitGroup
	stop := make(chan struct{})
	pushing.Go(func() {
		for i := 20; ; i++ {
			select {
			case <-stop:
				return
			default:
				push(i)
			}
		}
	})
	to := filepath.Join(t.TempDir(), "backup")
	saved, err := server.Backup(t.Context(), server.Config{Data: data}, to)
	close(stop)
	pushing.Wait()
	if err != nil || saved.Database != "sqlite" || !saved.Key || !saved.Content || saved.Files < 60 {
		t.Fatalf("%+v %v", saved, err)
	}
	if _, err := server.Backup(t.Context(), server.Config{Data: data}, to); !fault.Is(err, fault.Conflict) {
		t.Errorf("a backup over another backup: %v", err)
	}
	r.stop()
	r.wait()

	c.Data = filepath.Join(t.TempDir(), "restored")
	if _, err := server.Restore(t.Context(), server.Config{Data: c.Data}, to); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Restore(t.Context(), server.Config{Data: c.Data}, to); !fault.Is(err, fault.Conflict) {
		t.Errorf("a restore over the data of a server: %v", err)
	}
	if _, err := server.Restore(t.Context(), server.Config{Data: t.TempDir()}, t.TempDir()); !fault.Is(err, fault.Invalid) {
		t.Error("Restore succeeded without a backup")
	}
	again := run(t, c)
	for _, tag := range tagsOf(t, again) {
		want := digest.FromString(manifestOf("image " + tag[1:])).String()
		resp := again.as("admin", "GET", "/v2/app/manifests/"+tag, nil)
		raw, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || digest.FromBytes(raw).String() != want {
			t.Errorf("%s: %s", tag, resp.Status)
		}
	}
	if got := again.as("admin", "GET", "/v2/app/blobs/"+digest.FromString("{}").String(), nil).StatusCode; got != 200 {
		t.Error(got)
	}
	again.stop()
	again.wait()
	if len(auditOf(t, c.Data)) < 20 {
		t.Error("the audit log is not whole")
	}
}

func tagsOf(t *testing.T, r *running) []string {
	t.Helper()
	raw, _ := io.ReadAll(r.as("admin", "GET", "/v2/app/tags/list", nil).Body)
	_, list, _ := strings.Cut(string(raw), `"tags":[`)
	list, _, _ = strings.Cut(list, "]")
	tags := strings.Split(strings.ReplaceAll(list, `"`, ""), ",")
	if len(tags) < 20 {
		t.Fatalf("%s", raw)
	}
	return tags
}

func TestCheckSaysWhatRunWouldFind(t *testing.T) {
	findings := func(c server.Config) (bad string) {
		t.Helper()
		for _, f := range server.Check(t.Context(), c) {
			if !f.OK {
				bad += f.What + " "
			}
		}
		return bad
	}
	free := freeAddr(t)
	data := filepath.Join(t.TempDir(), "data")
	if bad := findings(server.Config{Listen: free, Data: data}); bad != "" {
		t.Error(bad)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("a check made the data directory")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]server.Config{
		"configuration ":   {Listen: free},
		"data directory ":  {Listen: free, Data: filepath.Join(file, "below")},
		"key ":             {Listen: free, Data: data, Key: access.KeySource{File: file}},
		"database ":        {Listen: free, Data: data, Database: "postgres://nobody@127.0.0.1:1/none", Engine: "temporal://127.0.0.1:1/dray"},
		"TLS ":             {Listen: free, Data: data, TLS: server.TLS{Cert: file, Key: file}},
		"rules and users ": {Listen: free, Data: data, Rules: []access.Rule{{Principals: []string{"x"}, Rights: []string{"everything"}}}},
		"listen ":          {Listen: "0.0.0.0:5000", Data: data},
		"audit heads ":     {Listen: free, Data: data, AuditHeads: filepath.Join(file, "below")},
	} {
		if bad := findings(c); !strings.HasPrefix(bad, want) {
			t.Errorf("%q, want %q", bad, want)
		}
	}
	if bad := findings(server.Config{Listen: free, Data: data, Storage: registry.Storage{Driver: "inmemory"}}); bad != "" {
		t.Errorf("an object store: %q", bad)
	}
	if bad := findings(server.Config{Listen: free, Data: data, Storage: registry.Storage{Driver: "floppy"}}); bad != "storage " {
		t.Errorf("an object store without a driver: %q", bad)
	}
	if bad := findings(server.Config{Listen: free, Ops: free, Data: data}); bad != "ops " {
		t.Errorf("one address twice: %q", bad)
	}
	r := run(t, server.Config{Data: data})
	address := strings.TrimPrefix(r.base, "http://")
	if bad := findings(server.Config{Listen: address, Data: data}); bad != "" {
		t.Errorf("findings while the server runs: %q", bad)
	}
	for _, f := range server.Check(t.Context(), server.Config{Listen: address, Data: data}) {
		inUse := strings.HasSuffix(f.Text, ", in use and not tried: a server is running here")
		if inUse != (f.What == "listen" || f.What == "data directory") {
			t.Errorf("while the server runs: %+v", f)
		}
	}
	if bad := findings(server.Config{Listen: "0.0.0.0:5000", Data: data}); bad != "listen " {
		t.Errorf("an address that is refused, while the server runs: %q", bad)
	}
	if bad := findings(server.Config{Listen: address, Data: filepath.Join(t.TempDir(), "other")}); bad != "listen " {
		t.Errorf("the address of a server with another directory: %q", bad)
	}
	if bad := findings(server.Config{Listen: address, Ops: address, Data: data}); bad != "listen ops " {
		t.Errorf("one address twice, while the server runs: %q", bad)
	}
	if bad := findings(server.Config{Listen: free, Ops: address, Data: filepath.Join(t.TempDir(), "other")}); bad != "ops " {
		t.Errorf("the address of another process: %q", bad)
	}
	r.stop()
	r.wait()
	if bad := findings(server.Config{Listen: free, Data: data, Key: access.KeySource{File: filepath.Join(t.TempDir(), "lost"), Missing: access.MakeKey}}); bad != "database " {
		t.Errorf("a key that is not the database's: %q", bad)
	}
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(data, "dray.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, room := range []string{"job", "access"} {
		if _, err := db.ExecContext(t.Context(), `UPDATE schemas SET version = version + 99 WHERE room = $1`, room); err != nil {
			t.Fatal(err)
		}
		all := server.Check(t.Context(), server.Config{Listen: free, Data: data})
		i := slices.IndexFunc(all, func(f wire.Finding) bool { return f.What == "database" })
		if all[i].OK || !strings.Contains(all[i].Text, "a newer dray has used the database") {
			t.Errorf("%+v", all[i])
		}
		if _, err := db.ExecContext(t.Context(), `UPDATE schemas SET version = version - 99 WHERE room = $1`, room); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAWorkerWantsADatabaseThatCanBeShared(t *testing.T) {
	for _, database := range []string{"", "sqlite:x.db"} {
		err := server.Worker(t.Context(), server.Config{Data: t.TempDir(), Database: database})
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "postgres") {
			t.Error(err)
		}
	}
}

// The middleware around the handlers must not hold back an answer that is streamed.
func TestAnswersAreFlushed(t *testing.T) {
	r := run(t, server.Config{Data: t.TempDir()})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(r.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Error(line, err)
	}
}

func TestGCInAnObjectStoreRefusesWhileTheServerOfTheDatabaseFileRuns(t *testing.T) {
	c := server.Config{Data: t.TempDir(), Storage: registry.Storage{Driver: "inmemory"}}
	r := run(t, c)
	if _, err := server.Collect(t.Context(), c, registry.CollectOptions{}); !fault.Is(err, fault.Conflict) || fault.HintOf(err) != "a server is using it: stop it first" {
		t.Error(err)
	}
	if _, err := server.Collect(t.Context(), c, registry.CollectOptions{DryRun: true}); err != nil {
		t.Error(err)
	}
	r.stop()
	r.wait()
	if _, err := server.Collect(t.Context(), c, registry.CollectOptions{}); err != nil {
		t.Error(err)
	}
}

func TestCheckFindsADamagedDatabase(t *testing.T) {
	data := t.TempDir()
	r := run(t, server.Config{Data: data})
	r.stop()
	r.wait()
	f, err := os.OpenFile(filepath.Join(data, "dray.db"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{0x5a}, 1<<17), 8192); err != nil {
		t.Fatal(err)
	}
	for _, f := range server.Check(t.Context(), server.Config{Listen: freeAddr(t), Data: data}) {
		if f.What == "database" && (f.OK || f.Kind != fault.Corrupt || !strings.Contains(f.Hint, "restore")) {
			t.Errorf("%+v", f)
		}
	}
}

func TestABackupHasTheIDOfTheContent(t *testing.T) {
	data, to, back := t.TempDir(), filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "restored")
	r := run(t, server.Config{Data: data})
	r.stop()
	r.wait()
	id, err := own.ID(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Backup(t.Context(), server.Config{Data: data}, to); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Restore(t.Context(), server.Config{Data: back}, to); err != nil {
		t.Fatal(err)
	}
	if got, err := own.Read(back); got != id || err != nil {
		t.Errorf("%q became %q, %v", id, got, err)
	}
}

// The second version of the tables of package access has one table more than the first.
func TestAnUpgradeOfTablesIsAnnouncedByACheckAndByTheStart(t *testing.T) {
	data, free := t.TempDir(), freeAddr(t)
	r := run(t, server.Config{Data: data})
	r.stop()
	r.wait()
	database := func() wire.Finding {
		all := server.Check(t.Context(), server.Config{Listen: free, Data: data})
		return all[slices.IndexFunc(all, func(f wire.Finding) bool { return f.What == "database" })]
	}
	if f := database(); !f.OK || strings.Contains(f.Text, "upgrade") {
		t.Errorf("%+v", f)
	}
	db, err := store.Open(t.Context(), "sqlite:"+filepath.Join(data, "dray.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range []string{"DROP TABLE audit_waiting", "UPDATE schemas SET version = 1 WHERE room = 'access'"} {
		if _, err := db.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a check changes nothing
		if f := database(); !f.OK || !strings.HasSuffix(f.Text, "; the next start upgrades its tables (access 1 to 2)") {
			t.Errorf("%+v", f)
		}
	}
	for _, want := range []int{1, 0} {
		var log bytes.Buffer
		r := run(t, server.Config{Data: data, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		r.stop()
		r.wait()
		begun, ended := strings.Index(log.String(), "upgrading the tables of the database"), strings.Index(log.String(), "upgraded the tables of the database")
		if got := strings.Count(log.String(), `tables="access 1 to 2" took=`); got != want || begun > ended {
			t.Errorf("%d of %d: %s", got, want, log.String())
		}
	}
	if f := database(); !f.OK || strings.Contains(f.Text, "upgrade") {
		t.Errorf("%+v", f)
	}
}
