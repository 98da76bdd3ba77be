package report

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// the colours of Okabe and Ito, which most people can tell apart.
var colours = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
}

func pale(c color.RGBA) color.RGBA { // for areas
	mix := func(v uint8) uint8 { return uint8((int(v) + 2*0xff) / 3) }
	return color.RGBA{mix(c.R), mix(c.G), mix(c.B), 0xff}
}

// step is a row of a failover's CSV: what happened in 0.1 s.
type step struct {
	began             float64 // seconds since the run began
	finished, results float64
	leader            string
}

// signal is one that was sent to a master.
type signal struct {
	name string
	at   float64 // seconds since the run began
}

var aSignal = regexp.MustCompile(`(?m)^ *(\d+) ms +(SIG\w+) to (\S+)$`)

// failovers are the steps of the run in which three leaders end, and the signals.
func (e evidence) failovers() (steps []step, signals []signal, err error) {
	const name = "4-master-failover"
	rows, err := e.rows(name)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range rows {
		n, err := numbers(r[0], r[1], r[3])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		steps = append(steps, step{began: n[0] / 1000, finished: n[1], results: n[2], leader: r[2]})
	}
	timeline, err := e.text(name)
	for _, m := range aSignal.FindAllStringSubmatch(timeline, -1) {
		ms, _ := strconv.Atoi(m[1])
		signals = append(signals, signal{m[2], float64(ms) / 1000})
	}
	if err == nil && signals == nil {
		err = fmt.Errorf("%s has no signal", name)
	}
	return steps, signals, err
}

func numbers(texts ...string) (numbers []float64, err error) {
	for _, text := range texts {
		n, nerr := strconv.ParseFloat(text, 64)
		numbers, err = append(numbers, n), errors.Join(err, nerr)
	}
	return numbers, err
}

func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	return p
}

// area is a polygon without an outline.
func area(c color.Color, corners plotter.XYs) *plotter.Polygon {
	return &plotter.Polygon{XYs: []plotter.XYs{corners}, Color: c}
}

// curve draws the i-th curve, and names it in the legend.
func curve(p *plot.Plot, i int, name string, points plotter.XYs) {
	line := &plotter.Line{XYs: points, LineStyle: draw.LineStyle{Color: colours[i%len(colours)], Width: vg.Points(1.8)}}
	p.Add(line)
	p.Legend.Add(name, line)
}

// label is a text around a point.
func label(x, y float64, name string) *plotter.Labels {
	style := text.Style{
		Color: color.Black, Font: font.From(plotter.DefaultFont, vg.Points(10)), XAlign: text.XCenter, YAlign: text.YCenter, Handler: plot.DefaultTextHandler,
	}
	return &plotter.Labels{XYs: plotter.XYs{{X: x, Y: y}}, Labels: []string{name}, TextStyle: []text.Style{style}}
}

// legend places the names of the curves, from the left and from the top or the bottom.
func legend(p *plot.Plot, x, y vg.Length) {
	p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs, p.Legend.Padding = true, x, y, vg.Points(3)
}

// save writes a figure with a margin: readers' fonts may be wider than those it was drawn for.
func save(p *plot.Plot, width vg.Length, path string) error {
	c, err := draw.NewFormattedCanvas(width, 3.6*vg.Inch, "svg")
	if err != nil {
		return err
	}
	margin := vg.Points(10)
	p.Draw(draw.Crop(draw.New(c), margin, -margin, margin, -margin))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// failover draws tasks finished in each step of the run, and which master led.
func failover(e evidence, path string) error {
	steps, signals, err := e.failovers()
	if err != nil {
		return err
	}
	p := newPlot("Three leaders end: tasks go on under the next one", "seconds", "tasks finished in 0.1 s")
	type term struct {
		leader     string
		began, end float64
	}
	var terms []term
	finished := plotter.XYs{{X: steps[0].began}}
	highest := 0.0
	for _, s := range steps {
		end := s.began + 0.1
		finished = append(finished, plotter.XY{X: s.began, Y: s.finished}, plotter.XY{X: end, Y: s.finished})
		highest = max(highest, s.finished)
		switch last := len(terms) - 1; {
		case s.leader == "":
		case last >= 0 && terms[last].leader == s.leader && s.began-terms[last].end < 0.05:
			terms[last].end = end
		default:
			terms = append(terms, term{s.leader, s.began, end})
		}
	}
	end := finished[len(finished)-1].X
	p.Add(area(color.Gray{0xbb}, append(finished, plotter.XY{X: end})))

	// A strip shows who leads, and above it stand the signals.
	low, high := highest*1.08, highest*1.2
	var names, sent []plot.Plotter // on top of the strips and the lines
	for i, t := range terms {
		p.Add(area(pale(colours[i%len(colours)]), plotter.XYs{{X: t.began, Y: low}, {X: t.end, Y: low}, {X: t.end, Y: high}, {X: t.began, Y: high}}))
		names = append(names, label((t.began+t.end)/2, (low+high)/2, t.leader))
	}
	p.Add(names...)
	dashed := draw.LineStyle{Color: color.Gray{0x55}, Width: vg.Points(1), Dashes: []vg.Length{vg.Points(3), vg.Points(2)}}
	for _, s := range signals { // a line is not across the names of the leaders
		p.Add(&plotter.Line{XYs: plotter.XYs{{X: s.at, Y: 0}, {X: s.at, Y: low}}, LineStyle: dashed})
		p.Add(&plotter.Line{XYs: plotter.XYs{{X: s.at, Y: high}, {X: s.at, Y: highest * 1.28}}, LineStyle: dashed})
		sent = append(sent, label(s.at, highest*1.31, s.name))
		end = max(end, s.at+1) // room for the name
	}
	p.Add(sent...)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, end, 0, highest*1.38
	p.X.Tick.Marker, p.Y.Tick.Marker = every(2), every(5)
	return save(p, 9*vg.Inch, path)
}

const (
	before, after = 2, 5 // seconds around a fault
	bin           = 5    // steps in a point of a curve
)

// clients draws the results a second that the clients saw around each fault of the leader.
func clients(e evidence, path string) error {
	steps, signals, err := e.failovers()
	if err != nil {
		return err
	}
	p := newPlot("What two clients see when the leader ends in three ways", "seconds after the signal", "results a second")
	p.Add(plotter.NewGrid())
	faults := slices.DeleteFunc(signals, func(s signal) bool { return s.name == "SIGCONT" })
	highest := 0.0
	for i, s := range faults {
		at, end := int(s.at*10), len(steps)
		if i+1 < len(faults) {
			end = int(faults[i+1].at * 10)
		}
		var points plotter.XYs
		for n := max(bin, at-before*10); n < min(at+after*10, end); n++ {
			sum := 0.0
			for _, s := range steps[n-bin : n] {
				sum += s.results
			}
			points = append(points, plotter.XY{X: float64(n-at) / 10, Y: sum * 10 / bin})
			highest = max(highest, sum*10/bin)
		}
		curve(p, i, s.name, points)
	}
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -before, after, 0, highest*1.4 // the legend stands above the curves
	p.Legend.Top = true
	legend(p, 4.8*vg.Inch, vg.Points(-4))
	p.X.Tick.Marker, p.Y.Tick.Marker = every(1), every(40)
	return save(p, 7*vg.Inch, path)
}

// latency draws for one server and for three which share of tasks took how long.
func latency(e evidence, path string) error {
	rows, err := e.rows("compare-latency")
	if err != nil {
		return err
	}
	took := make(map[string][]float64)
	var order []string
	for _, r := range rows {
		if took[r[0]] == nil {
			order = append(order, r[0])
		}
		ms, err := numbers(r[1])
		if err != nil {
			return err
		}
		took[r[0]] = append(took[r[0]], ms...)
	}
	p := newPlot("Latency of a single task, from its submission to its result", "milliseconds", "share of the tasks, %")
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, marks(1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)
	p.Y.Min, p.Y.Max = 0, 100
	p.Add(plotter.NewGrid())
	for i, name := range order {
		ms := slices.Sorted(slices.Values(took[name]))
		var points plotter.XYs
		for k, v := range ms {
			points = append(points, plotter.XY{X: v, Y: 100 * float64(k+1) / float64(len(ms))})
		}
		curve(p, i, fmt.Sprintf("%s (%d tasks)", name, len(ms)), points)
	}
	legend(p, 3.6*vg.Inch, vg.Points(8)) // at the bottom on the right, where no curve is
	p.X.Max *= 1.1                       // room for the last of them
	return save(p, 7*vg.Inch, path)
}

// every marks an axis at multiples of a step.
type every float64

func (e every) Ticks(least, most float64) []plot.Tick {
	var values []float64
	for v := math.Ceil(least/float64(e)) * float64(e); v <= most; v += float64(e) {
		values = append(values, v)
	}
	return marks(values...)
}

// marks are fixed marks of an axis.
func marks(values ...float64) (marks plot.ConstantTicks) {
	for _, v := range values {
		marks = append(marks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', -1, 64)})
	}
	return marks
}
