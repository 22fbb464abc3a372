package limit

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
)

// Draw is one request on its way, for whoever shares a registry's limits among
// processes (Options.Draw).
type Draw struct {
	Host     string
	Identity string           // the user of the login, or its scheme where it has none; "" is anonymous
	Class    credential.Class // never credential.All, which all are; Manifests are Writes, too
}

// allowance is what a registry publishes: so many requests of a class in so much time.
// Where it depends on what somebody pays, the most comes first, and a 429 leads to the next.
type allowance struct {
	class credential.Class
	per   time.Duration
	n     []float64
}

// allowances by product, from their documentation of 2026: ACR's service limits by SKU
// (Premium, Standard, Basic), Alibaba's rate for its registry, ECR's quota of PutImage.
// Docker Hub's pulls are counted by pulls.
var allowances = map[string][]allowance{
	"acr":     {{credential.Reads, time.Minute, []float64{10_000, 3_000, 1_000}}, {credential.Writes, time.Minute, []float64{2_000, 500, 100}}},
	"ecr":     {{credential.Manifests, time.Second, []float64{10}}},
	"alibaba": {{credential.All, time.Second, []float64{15}}},
}

// Budgets are the buckets of one host, by identity and class.
type Budgets struct {
	host    string
	allowed []allowance

	mu   sync.Mutex
	each map[Draw]*bucket
}

// bucket fills evenly, up to a tenth of what is allowed at once, so that no stretch of
// the registry's time sees more than its number.
type bucket struct {
	allowance
	step int     // which of n holds
	left float64 // below 0 for those who wait
	at   time.Time
	told time.Time
	calm time.Time
}

// NewBudgets keeps to what product publishes, or to perSecond requests where that is not 0.
func NewBudgets(host, product string, perSecond float64) *Budgets {
	b := &Budgets{host: host, allowed: allowances[product], each: map[Draw]*bucket{}}
	if perSecond > 0 { // somebody who knows better
		b.allowed = []allowance{{credential.All, time.Second, []float64{perSecond}}}
	}
	return b
}

// Allowances is what is known to be allowed now; nil is nothing known.
func (b *Budgets) Allowances() []credential.Allowance {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []credential.Allowance
	for _, a := range b.allowed {
		now := credential.Allowance{Class: a.class, Per: a.per, N: a.n[0]}
		for key, k := range b.each {
			if key.Class == a.class {
				now.N = min(now.N, a.n[k.step])
			}
		}
		all = append(all, now)
	}
	return all
}

// None reports whether nothing is known to be counted.
func (b *Budgets) None() bool { return len(b.allowed) == 0 }

// Classes of a request, and so the buckets that it takes from.
func Classes(method, path string) [3]credential.Class {
	switch {
	case method == http.MethodGet || method == http.MethodHead:
		return [3]credential.Class{credential.All, credential.Reads}
	case method == http.MethodPut && strings.Contains(path, "/manifests/"):
		return [3]credential.Class{credential.All, credential.Writes, credential.Manifests}
	}
	return [3]credential.Class{credential.All, credential.Writes}
}

// Draw takes one request's due and returns how long to wait for it, and why.
func (b *Budgets) Draw(cs [3]credential.Class, identity string, now time.Time) (wait time.Duration, news string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.allowed {
		if a.class != cs[0] && a.class != cs[1] && a.class != cs[2] {
			continue
		}
		k := b.bucket(a, identity)
		d := k.take(now)
		if d <= wait {
			continue
		}
		wait, news = d, ""
		if until := now.Add(d); d >= time.Second && until.Sub(k.told) >= time.Second {
			k.told = until
			news = fmt.Sprintf("%s: %v %s in %s are allowed, until %s", b.host, k.n[k.step], k.class, unit(k.per), until.Format("15:04:05"))
		}
	}
	return wait, news
}

func unit(d time.Duration) string {
	if d == time.Minute {
		return "a minute"
	}
	return "a second"
}

func (b *Budgets) bucket(a allowance, identity string) *bucket {
	key := Draw{b.host, identity, a.class}
	k := b.each[key]
	if k == nil {
		k = &bucket{allowance: a, left: max(1, a.n[0]/10)}
		b.each[key] = k
	}
	return k
}

// rate is in requests a second. What a published number is about is not measured as
// exactly as it is printed; a configured one is taken at its word.
func (k *bucket) rate() float64 {
	r := k.n[k.step] / k.per.Seconds()
	if k.per == time.Minute {
		r *= 0.9
	}
	return r
}

func (k *bucket) take(now time.Time) time.Duration {
	if !k.at.IsZero() {
		k.left = min(k.left+now.Sub(k.at).Seconds()*k.rate(), max(1, k.n[k.step]/10))
	}
	k.at = now
	k.left--
	if k.left >= 0 {
		return 0
	}
	return time.Duration(-k.left / k.rate() * float64(time.Second))
}

// Refused learns from a 429: what was thought to be allowed is not.
func (b *Budgets) Refused(cs [3]credential.Class, identity string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.allowed {
		k := b.each[Draw{b.host, identity, a.class}]
		if k == nil || a.class != cs[0] && a.class != cs[1] && a.class != cs[2] || now.Before(k.calm) {
			continue
		}
		k.calm = now.Add(k.per) // the others of the same burst teach nothing more
		k.step = min(k.step+1, len(k.n)-1)
		k.left = min(k.left, 0)
	}
}
