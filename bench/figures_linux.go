// SPDX-License-Identifier: MIT

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// median returns the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// middle returns the medians of wall and CPU time.
func middle(costs []cost) cost {
	var wall, cpu []float64
	for _, c := range costs {
		wall, cpu = append(wall, c.wall), append(cpu, c.cpu)
	}
	return cost{median(wall), median(cpu)}
}

func (c cost) String() string { return fmt.Sprintf("%.2f / %.1f", c.wall, c.cpu) }

// geometricMean returns the mean that belongs to ratios.
func geometricMean(ratios []float64) float64 {
	sum := 0.0
	for _, r := range ratios {
		sum += math.Log(r)
	}
	return math.Exp(sum / float64(len(ratios)))
}

func times(ratio float64) string { return fmt.Sprintf("%.2f×", ratio) }

// header prints the head of a table; columns after the first hold figures.
func header(columns ...string) {
	row(columns...)
	fmt.Println("|---" + strings.Repeat("|--:", len(columns)-1) + "|")
}

func row(cells ...string) { fmt.Println("| " + strings.Join(cells, " | ") + " |") }
