// SPDX-License-Identifier: MIT

package scheduler

import (
	"math"
	"slices"
	"testing"
)

func TestForecast(t *testing.T) {
	even := slices.Repeat([]CellCost{{Render: 2, Walk: 0.01}}, 120)
	uneven := slices.Clone(even)
	uneven[70].Render = 60
	walked := slices.Repeat([]CellCost{{Render: 0.5, Walk: 1.5}}, 120)
	for _, test := range []struct {
		name         string
		cells        []CellCost
		nodes, slots int
		want         float64 // within 5 %
	}{
		{"alone", even, 1, 2, 120.6},
		{"alone on one core", even, 1, 1, 241.2},
		{"four times as many", even, 4, 2, 30.8},
		{"a cell is not divided", uneven, 16, 2, 61.5},
		{"all have to walk", walked, 16, 2, 60.5},
		{"nothing", nil, 3, 2, 0},
	} {
		all := Forecast(test.cells, test.slots, test.nodes)
		if got := all[test.nodes-1]; math.Abs(got-test.want) > 0.05*test.want {
			t.Errorf("%s: %.2f s, want %.2f", test.name, got, test.want)
		}
		for i := 1; i < len(all); i++ {
			if all[i] > all[i-1] {
				t.Errorf("%s: %d nodes take %.2f s, one fewer %.2f", test.name, i+1, all[i], all[i-1])
			}
		}
	}
}
