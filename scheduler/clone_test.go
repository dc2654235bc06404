// SPDX-License-Identifier: MIT

package scheduler

import (
	"encoding/binary"
	"hash"
	"reflect"
	"time"
	"unsafe"

	"meshnode/job"
)

// Types whose values nobody changes: copies share them, and a state is the same
// whatever their address.
var immutable = map[reflect.Type]bool{
	reflect.TypeFor[*job.Manifest](): true,
	reflect.TypeFor[*job.Offer]():    true,
	reflect.TypeFor[*job.Advert]():   true,
	reflect.TypeFor[*job.Signed]():   true,
	reflect.TypeFor[job.Message]():   true,
	reflect.TypeFor[job.Advert]():    true,
	reflect.TypeFor[[]job.Cell]():    true,
	reflect.TypeFor[[]float64]():     true,
	reflect.TypeFor[[]byte]():        true,
	reflect.TypeFor[Times]():         true,
	reflect.TypeFor[[]Action]():      true,
}

// clone returns a deep copy of a scheduler.
func clone(s *Scheduler) *Scheduler {
	out := new(Scheduler)
	copyInto(reflect.ValueOf(out).Elem(), reflect.ValueOf(s).Elem())
	return out
}

func copyInto(to, from reflect.Value) {
	if immutable[from.Type()] {
		writable(to).Set(readable(from))
		return
	}
	switch from.Kind() {
	case reflect.Pointer:
		if !from.IsNil() {
			p := reflect.New(from.Type().Elem())
			copyInto(p.Elem(), from.Elem())
			writable(to).Set(p)
		}
	case reflect.Slice:
		if !from.IsNil() {
			list := reflect.MakeSlice(from.Type(), from.Len(), from.Len())
			if plain(from.Type().Elem()) {
				reflect.Copy(list, readable(from))
			} else {
				for i := range from.Len() {
					copyInto(list.Index(i), from.Index(i))
				}
			}
			writable(to).Set(list)
		}
	case reflect.Struct:
		if plain(from.Type()) {
			writable(to).Set(readable(from))
			return
		}
		indexed, _ := writable(to).Addr().Interface().(interface{ reindex() })
		for i := range from.NumField() {
			if indexed == nil || from.Field(i).Kind() != reflect.Map {
				copyInto(to.Field(i), from.Field(i))
			}
		}
		if indexed != nil {
			indexed.reindex()
		}
	case reflect.Map:
		panic("a map in the state: its order would show")
	default:
		writable(to).Set(readable(from))
	}
}

// reindex makes the index, which points into the list.
func (d *directory[T]) reindex() {
	if d.ids == nil {
		return // nobody was ever added
	}
	d.byID = make(map[job.PeerID]*T)
	for i, id := range d.ids {
		d.byID[id] = d.list[i]
	}
}

var plainTypes = map[reflect.Type]bool{}

// plain reports whether values of a type can be copied by assignment.
func plain(t reflect.Type) bool {
	if immutable[t] {
		return true
	}
	if known, ok := plainTypes[t]; ok {
		return known
	}
	is := true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface:
		is = false
	case reflect.Struct:
		for i := range t.NumField() {
			is = is && plain(t.Field(i).Type)
		}
	}
	plainTypes[t] = is
	return is
}

// readable and writable reach unexported fields.
func readable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
	}
	return v
}

func writable(v reflect.Value) reflect.Value {
	return reflect.NewAt(v.Type(), unsafe.Pointer(v.UnsafeAddr())).Elem()
}

// fields that only count, or that follow from others.
var unhashed = map[string]bool{"now": true, "wake": true, "out": true, "learned": true, "memo": true, "tally": true, "holding": true, "ids": true, "byID": true, "weight": true, "grid": true, "records": true, "crowd": true, "crowdAt": true, "counts": true}

var durationType = reflect.TypeFor[time.Duration]()

// digest writes a state to a hash, times relative to now, so that states that
// will behave alike are the same.
func digest(h hash.Hash, v reflect.Value, now time.Duration) {
	t := v.Type()
	if t == durationType {
		d := time.Duration(v.Int())
		if d != 0 && d != forever {
			d = max(d-now, -time.Minute) // what is long past is all the same
		}
		word(h, uint64(d))
		return
	}
	if t == reflect.TypeFor[[]byte]() {
		word(h, uint64(v.Len()))
		h.Write(v.Bytes())
		return
	}
	if immutable[t] && t != reflect.TypeFor[job.Message]() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			word(h, 0)
			return
		}
		word(h, 1)
		if v.Kind() == reflect.Pointer {
			digest(h, v.Elem(), now)
		}
	case reflect.Slice, reflect.Array:
		word(h, uint64(v.Len()))
		for i := range v.Len() {
			digest(h, v.Index(i), now)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if !unhashed[t.Field(i).Name] {
				digest(h, v.Field(i), now)
			}
		}
	case reflect.String:
		word(h, uint64(v.Len()))
		h.Write([]byte(v.String()))
	case reflect.Bool:
		if v.Bool() {
			word(h, 1)
		} else {
			word(h, 0)
		}
	case reflect.Int, reflect.Int64:
		word(h, uint64(v.Int()))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		word(h, v.Uint())
	case reflect.Float64:
		word(h, uint64(v.Float()*1e6))
	default:
		panic("cannot hash a " + t.String())
	}
}

func word(h hash.Hash, n uint64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], n)
	h.Write(b[:])
}
