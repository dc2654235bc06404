// SPDX-License-Identifier: MIT

package node

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"meshnode/job"
	"meshnode/p2p"
	"meshnode/scheduler"
)

// Role is what a peer may do with this node. Each node decides for itself.
type Role string

// Roles, from most to least.
const (
	RoleFull    Role = "full"    // the two render for each other
	RoleWorker  Role = "worker"  // it renders for this node; its own jobs are not rendered here
	RoleBlocked Role = "blocked" // it is no peer of this node
)

// Others stands for all peers that have no role of their own.
const Others job.PeerID = "others"

// roleLiar is how a peer is kept that the node itself has blocked. For everybody else
// that is RoleBlocked.
const roleLiar Role = "liar"

// Peers that have a role of their own. Keys cost nothing: the liars among them take no
// room of those that the user has given one.
const (
	maxRoles = 1024 // given by the user
	maxLiars = 512  // blocked by the node itself; those that lied longest ago are let in again
)

// PeerRole is the role of a peer, or of Others.
type PeerRole struct {
	Peer job.PeerID `json:"peer"`
	Name string     `json:"name,omitempty"` // if it is known
	Role Role       `json:"role"`
	Why  string     `json:"why,omitempty"` // it was blocked by the node itself
}

// ErrPeer is wrapped when text does not name one peer.
var ErrPeer = errors.New("node: no such peer")

// roles keeps what peers may do, the records "role/<peer>", and why some may not.
type roles struct {
	records Records

	mu  sync.RWMutex // guards what follows
	of  map[job.PeerID]Role
	why map[job.PeerID]reason // of peers that have been shown to lie
}

func loadRoles(records Records) (*roles, error) {
	kept, err := records.Read("role/")
	if err != nil {
		return nil, err
	}
	r := &roles{records: records, of: make(map[job.PeerID]Role), why: make(map[job.PeerID]reason)}
	for key, value := range kept {
		r.of[job.PeerID(strings.TrimPrefix(key, "role/"))] = Role(value)
	}
	return r, r.loadEvidence()
}

// role returns what a peer may do.
func (r *roles) role(p job.PeerID) Role {
	r.mu.RLock()
	defer r.mu.RUnlock()
	role, ok := r.of[p]
	if !ok {
		role, ok = r.of[Others]
	}
	if !ok {
		return RoleFull
	}
	return role.known()
}

// known returns what a role that was kept lets a peer do. What is not understood is
// the least.
func (r Role) known() Role {
	if r == RoleFull || r == RoleWorker {
		return r
	}
	return RoleBlocked
}

// admits reports whether a peer may connect.
func (r *roles) admits(p job.PeerID) bool { return r.role(p) != RoleBlocked }

// errNotKept is wrapped when a role is in force, but not on disk.
var errNotKept = errors.New("that holds until this node ends, as it could not be kept")

// set gives a peer a role, as the user says. An error that does not wrap errNotKept: it
// has not got it.
func (r *roles) set(p job.PeerID, role Role) error {
	if role != RoleFull && role != RoleWorker && role != RoleBlocked {
		return fmt.Errorf("node: role %q: give %s, %s or %s", role, RoleFull, RoleWorker, RoleBlocked)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if was, ok := r.of[p]; (!ok || was == roleLiar) && p != Others {
		if given := len(r.of) - len(r.liars()); given >= maxRoles {
			return fmt.Errorf("node: %d peers have a role: \"meshnode block others\" shuts out all that have none", given)
		}
	}
	return r.keep(p, role)
}

// bar blocks a peer that has been shown to lie, in place of the one that did so longest
// ago if there are many. A role that the user has given it stays. It returns whether
// the peer is blocked.
func (r *roles) bar(p job.PeerID) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if was, ok := r.of[p]; ok {
		return was.known() == RoleBlocked, nil
	}
	var pardon []Record
	if liars := r.liars(); len(liars) >= maxLiars {
		oldest := r.earliest(liars)
		delete(r.of, oldest)
		pardon = []Record{{"role/" + string(oldest), nil}}
	}
	return true, r.keep(p, roleLiar, pardon...)
}

// keep puts a role in force, and on disk with other changes. The caller holds the lock.
func (r *roles) keep(p job.PeerID, role Role, others ...Record) error {
	r.of[p] = role
	if err := r.records.Write(append(others, Record{"role/" + string(p), []byte(role)})...); err != nil {
		return fmt.Errorf("node: %s is %s: %w: %w", p, role.known(), errNotKept, err)
	}
	return nil
}

// liars returns the peers that the node itself has blocked. The caller holds the lock.
func (r *roles) liars() (all []job.PeerID) {
	for p, role := range r.of {
		if role == roleLiar {
			all = append(all, p)
		}
	}
	return all
}

// list returns all roles that were given, Others last.
func (r *roles) list() []PeerRole {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := []PeerRole{}
	for _, p := range slices.Sorted(maps.Keys(r.of)) {
		if p != Others {
			one := PeerRole{Peer: p, Role: r.of[p].known()}
			if one.Role == RoleBlocked {
				one.Why = r.why[p].text
			}
			list = append(list, one)
		}
	}
	return append(list, PeerRole{Peer: Others, Role: cmp.Or(r.of[Others], RoleFull).known()})
}

// Roles returns the roles that peers were given here, and that of Others, which is
// the last.
func (n *Node) Roles() []PeerRole {
	list := n.roles.list()
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range list {
		list[i].Name = n.names[list[i].Peer]
	}
	return list
}

// SetRole gives a peer a role, at once and from now on. It is named by its id, the
// end of it, or by its name, or is Others. An error that wraps ErrPeer: there is no
// such peer, or more than one. A role that could not be kept on disk is in force all the
// same, and an error.
func (n *Node) SetRole(peer string, role Role) (PeerRole, error) {
	p, err := n.peerNamed(peer)
	if err != nil {
		return PeerRole{}, err
	}
	kept := n.roles.set(p, role)
	if kept != nil && !errors.Is(kept, errNotKept) {
		return PeerRole{}, kept
	}
	n.rolesChanged()
	n.mu.Lock()
	defer n.mu.Unlock()
	return PeerRole{Peer: p, Name: n.names[p], Role: role}, kept
}

// rolesChanged has the network and the scheduler know.
func (n *Node) rolesChanged() {
	n.parts.Network.Admit(n.roles.admits)
	var partners []job.PeerID // those that have left too
	n.ask(func(s *scheduler.Scheduler) { partners = s.Partners() })
	for _, other := range n.Peers() { // what they have said may not have been heard yet
		partners = append(partners, other.ID)
	}
	for _, ev := range n.shunned(partners) {
		n.post(ev)
	}
}

// shunned returns what the scheduler has to know of the roles of those peers.
func (n *Node) shunned(peers []job.PeerID) (events []scheduler.Event) {
	for _, p := range peers {
		if r := n.roles.role(p); r != RoleFull && p != n.self {
			events = append(events, scheduler.Shunned{Peer: p, Blocked: r == RoleBlocked})
		}
	}
	return events
}

// SetRole is Node.SetRole for a home on which no node runs; it fails with ErrInUse
// where one does. The peer is named by its full id.
func SetRole(home string, peer string, role Role) (PeerRole, error) {
	p := job.PeerID(peer)
	if p != Others {
		if err := p2p.CheckPeerID(p); err != nil {
			return PeerRole{}, fmt.Errorf("%w: while no node runs, give its full id: %w", ErrPeer, err)
		}
	}
	return PeerRole{Peer: p, Role: role}, withRoles(home, func(r *roles) error { return r.set(p, role) })
}

// Roles is Node.Roles for a home on which no node runs.
func Roles(home string) (list []PeerRole, err error) {
	return list, withRoles(home, func(r *roles) error { list = r.list(); return nil })
}

func withRoles(dir string, do func(*roles) error) error {
	h, err := idleHome(dir)
	if err != nil {
		return err
	}
	defer h.Close()
	records, err := h.openRecords(p2p.Mesh{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	r, err := loadRoles(records)
	if err == nil {
		err = do(r)
	}
	return errors.Join(err, records.Close())
}

// peerNamed finds a peer among those that are there or have a role.
func (n *Node) peerNamed(text string) (job.PeerID, error) {
	if job.PeerID(text) == Others {
		return Others, nil
	}
	if p2p.CheckPeerID(job.PeerID(text)) == nil {
		return job.PeerID(text), nil
	}
	known := make(map[job.PeerID]string)
	for _, p := range n.Peers() {
		known[p.ID] = p.Name
	}
	for _, p := range n.Roles() {
		if _, ok := known[p.Peer]; !ok && p.Peer != Others {
			known[p.Peer] = p.Name
		}
	}
	var found []job.PeerID
	for p, name := range known {
		if name == text || len(text) >= 4 && strings.HasSuffix(string(p), text) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", fmt.Errorf("%w: %q: give its name or id as \"meshnode peers\" shows it, or its full id", ErrPeer, text)
	}
	return "", fmt.Errorf("%w: %q: there are %d: give the id that \"meshnode peers\" shows", ErrPeer, text, len(found))
}

// hears reports whether the author of a message may say it to this node.
func (n *Node) hears(m job.Signed) bool {
	switch n.roles.role(m.From) {
	case RoleFull:
		return true
	case RoleWorker:
		k := m.Msg.Kind()
		return k != job.KindCall && k != job.KindOffer
	}
	return false
}
