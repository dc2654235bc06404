// SPDX-License-Identifier: MIT

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// explain draws on one computer; the others hear nothing of it.
func TestExplain(t *testing.T) {
	m := houseOf(t)
	a := m.computers[0].do("explain", append([]string{"--json"}, slowArgs...)...)
	var found struct {
		Frames, Drawn, Cells          int
		Walk, Raster, Encode, Longest float64
		Plays                         []struct{ Raster, Encode float64 }
		Forecast                      []struct{ Seconds float64 }
	}
	if err := json.Unmarshal([]byte(a.out), &found); a.code != 0 || err != nil {
		t.Fatalf("explain: exit code %d, %v\n%s%s", a.code, err, a.out, a.err)
	}
	if found.Frames != 180 || found.Cells != 36 || len(found.Plays) != 4 || found.Drawn == 0 || found.Drawn >= found.Frames {
		t.Errorf("explained %+v", found)
	}
	if found.Raster < found.Walk || found.Encode <= 0 || found.Longest <= 0 { // the scene is made to be so
		t.Errorf("walk %.2f s, raster %.2f s, encode %.2f s", found.Walk, found.Raster, found.Encode)
	}
	if len(found.Forecast) != 16 || found.Forecast[3].Seconds >= found.Forecast[0].Seconds {
		t.Errorf("forecast %+v", found.Forecast)
	}
	for _, c := range m.computers[1:3] {
		if log := c.log(); strings.Contains(log, "job") {
			t.Errorf("%s has heard of it:\n%s", c.name(), log)
		}
	}

	a = m.computers[0].do("explain", "-ql", "scenes.py", "Still")
	if a.code != 0 || !strings.HasPrefix(a.out, "Still: nothing to share") {
		t.Errorf("of a still: exit code %d, %q\n%s", a.code, a.out, a.err)
	}
}
