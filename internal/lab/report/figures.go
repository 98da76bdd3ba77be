package report

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// the colours of Okabe and Ito, which most people can tell apart.
var colours = []color.RGBA{
	{0x00, 0x72, 0xb2, 0xff}, {0xe6, 0x9f, 0x00, 0xff}, {0x00, 0x9e, 0x73, 0xff}, {0xcc, 0x79, 0xa7, 0xff},
}

var grey = color.Gray{0x55}

func pale(c color.RGBA) color.RGBA { // for areas
	mix := func(v uint8) uint8 { return uint8((int(v) + 2*0xff) / 3) }
	return color.RGBA{mix(c.R), mix(c.G), mix(c.B), 0xff}
}

var aSignal = regexp.MustCompile(`(?m)^ *(\d+) ms +(SIG\w+) to (\S+)$`)

// signal is one that was sent to a master.
type signal struct {
	name string
	at   float64 // seconds since the run began
}

// failovers are the rows of the run in which three leaders end, and the signals.
func (e evidence) failovers() (rows [][]string, signals []signal, err error) {
	const name = "4-master-failover"
	if rows, err = e.rows(name); err != nil {
		return nil, nil, err
	}
	timeline, err := e.text(name)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range aSignal.FindAllStringSubmatch(timeline, -1) {
		ms, err := strconv.Atoi(m[1])
		if err != nil {
			return nil, nil, err
		}
		signals = append(signals, signal{m[2], float64(ms) / 1000})
	}
	if len(signals) == 0 {
		return nil, nil, fmt.Errorf("%s has no signal", name)
	}
	return rows, signals, nil
}

// failover draws tasks finished in each step of the run, and who led.
func failover(e evidence, path string) error {
	rows, signals, err := e.failovers()
	if err != nil {
		return err
	}
	p := plot.New()
	p.Title.Text = "Three leaders end: tasks go on under the next one"
	p.X.Label.Text = "seconds"
	p.Y.Label.Text = "tasks finished in 0.1 s"
	p.X.Min, p.Y.Min = 0, 0

	var area plotter.XYs
	type term struct {
		who        string
		began, end float64
	}
	var terms []term
	highest := 0.0
	for _, r := range rows {
		ms, err := strconv.ParseFloat(r[0], 64)
		if err != nil {
			return err
		}
		n, err := strconv.ParseFloat(r[1], 64)
		if err != nil {
			return err
		}
		x := ms / 1000
		area = append(area, plotter.XY{X: x, Y: n}, plotter.XY{X: x + 0.1, Y: n})
		highest = max(highest, n)
		switch last := len(terms) - 1; {
		case r[2] == "":
		case last >= 0 && terms[last].who == r[2] && x-terms[last].end < 0.05:
			terms[last].end = x + 0.1
		default:
			terms = append(terms, term{r[2], x, x + 0.1})
		}
	}
	end := area[len(area)-1].X
	finished, err := plotter.NewPolygon(append(append(plotter.XYs{{X: area[0].X}}, area...), plotter.XY{X: end}))
	if err != nil {
		return err
	}
	finished.Color, finished.LineStyle.Width = color.Gray{0xbb}, 0
	p.Add(finished)

	// A strip for who leads, and above it the signals.
	low, high := highest*1.08, highest*1.2
	var names plotter.XYLabels
	for i, t := range terms {
		strip, err := plotter.NewPolygon(plotter.XYs{{X: t.began, Y: low}, {X: t.end, Y: low}, {X: t.end, Y: high}, {X: t.began, Y: high}})
		if err != nil {
			return err
		}
		strip.Color, strip.LineStyle.Width = pale(colours[i%len(colours)]), 0
		p.Add(strip)
		names.XYs = append(names.XYs, plotter.XY{X: (t.began + t.end) / 2, Y: (low + high) / 2})
		names.Labels = append(names.Labels, t.who)
	}
	if err := label(p, names, draw.XCenter, draw.YCenter); err != nil {
		return err
	}
	var sent plotter.XYLabels
	for _, sig := range signals {
		for _, from := range [][2]float64{{0, low}, {high, highest * 1.28}} { // not across the names of the leaders
			line, err := plotter.NewLine(plotter.XYs{{X: sig.at, Y: from[0]}, {X: sig.at, Y: from[1]}})
			if err != nil {
				return err
			}
			line.Color, line.Dashes = grey, []vg.Length{vg.Points(3), vg.Points(2)}
			p.Add(line)
		}
		sent.XYs = append(sent.XYs, plotter.XY{X: sig.at, Y: highest * 1.31})
		sent.Labels = append(sent.Labels, sig.name)
		end = max(end, sig.at+1) // room for the name
	}
	if err := label(p, sent, draw.XCenter, draw.YCenter); err != nil {
		return err
	}
	p.X.Max, p.Y.Max = end, highest*1.38
	p.X.Tick.Marker, p.Y.Tick.Marker = every(2), every(5)
	return save(p, 9*vg.Inch, path)
}

const (
	before, after = 2, 5 // seconds around a fault
	bin           = 5    // rows in a point of a curve
)

// clients draws the results a second that the clients saw around each fault of the leader.
func clients(e evidence, path string) error {
	rows, signals, err := e.failovers()
	if err != nil {
		return err
	}
	results := make([]float64, len(rows)) // in each 0.1 s
	for i, r := range rows {
		if results[i], err = strconv.ParseFloat(r[3], 64); err != nil {
			return err
		}
	}
	p := plot.New()
	p.Title.Text = "What two clients see when the leader ends in three ways"
	p.X.Label.Text = "seconds after the signal"
	p.Y.Label.Text = "results a second"
	p.X.Min, p.X.Max, p.Y.Min = -before, after, 0
	p.Add(plotter.NewGrid())
	highest := 0.0
	faults := slices.DeleteFunc(signals, func(s signal) bool { return s.name == "SIGCONT" })
	var moments []int // rows of the faults, and of the end
	for _, f := range faults {
		moments = append(moments, int(f.at*10))
	}
	moments = append(moments, len(results))
	for i, f := range faults {
		var curve plotter.XYs
		for row := max(bin, moments[i]-before*10); row < min(moments[i]+after*10, moments[i+1]); row++ {
			sum := 0.0
			for _, n := range results[row-bin : row] {
				sum += n
			}
			y := sum * 10 / bin
			highest = max(highest, y)
			curve = append(curve, plotter.XY{X: float64(row-moments[i]) / 10, Y: y})
		}
		line, err := plotter.NewLine(curve)
		if err != nil {
			return err
		}
		line.Color, line.Width = colours[i%len(colours)], vg.Points(1.8)
		p.Add(line)
		p.Legend.Add(f.name, line)
	}
	p.Y.Max = highest * 1.4 // the legend stands above the curves
	p.Legend.Top = true
	legend(p, 4.8*vg.Inch, -4)
	p.X.Tick.Marker, p.Y.Tick.Marker = every(1), every(40)
	return save(p, 7*vg.Inch, path)
}

// legend places the names of the curves, from the left and from the top or the bottom.
func legend(p *plot.Plot, x vg.Length, y float64) {
	p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs, p.Legend.Padding = true, x, vg.Points(y), vg.Points(3)
}

// save writes a figure with a margin: readers' fonts may be wider than those it was drawn for.
func save(p *plot.Plot, width vg.Length, path string) (err error) {
	c, err := draw.NewFormattedCanvas(width, 3.6*vg.Inch, "svg")
	if err != nil {
		return err
	}
	margin := vg.Points(10)
	p.Draw(draw.Crop(draw.New(c), margin, -margin, margin, -margin))
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = c.WriteTo(f)
	return err
}

func label(p *plot.Plot, texts plotter.XYLabels, x text.XAlignment, y text.YAlignment) error {
	l, err := plotter.NewLabels(texts)
	if err != nil {
		return err
	}
	for i := range l.TextStyle {
		l.TextStyle[i].XAlign, l.TextStyle[i].YAlign = x, y
		l.TextStyle[i].Font.Size = vg.Points(10)
	}
	p.Add(l)
	return nil
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
		ms, err := strconv.ParseFloat(r[1], 64)
		if err != nil {
			return err
		}
		if took[r[0]] == nil {
			order = append(order, r[0])
		}
		took[r[0]] = append(took[r[0]], ms)
	}
	p := plot.New()
	p.Title.Text = "Latency of a single task, from its submission to its result"
	p.X.Label.Text = "milliseconds"
	p.Y.Label.Text = "share of the tasks, %"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks{1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000}
	p.Y.Min, p.Y.Max = 0, 100
	p.Add(plotter.NewGrid())
	for i, name := range order {
		ms := slices.Sorted(slices.Values(took[name]))
		var xys plotter.XYs
		for k, v := range ms {
			xys = append(xys, plotter.XY{X: v, Y: 100 * float64(k+1) / float64(len(ms))})
		}
		line, err := plotter.NewLine(xys)
		if err != nil {
			return err
		}
		line.Color, line.Width = colours[i], vg.Points(1.8)
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("%s (%d tasks)", name, len(ms)), line)
	}
	legend(p, 3.6*vg.Inch, 8) // at the bottom on the right, where no curve is
	p.X.Max *= 1.1            // room for the last of them
	return save(p, 7*vg.Inch, path)
}

// every marks an axis at multiples of a step.
type every float64

func (e every) Ticks(least, most float64) (marks []plot.Tick) {
	for v := math.Ceil(least/float64(e)) * float64(e); v <= most; v += float64(e) {
		if v >= least {
			marks = append(marks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', -1, 64)})
		}
	}
	return marks
}

// ticks are fixed marks of an axis.
type ticks []float64

func (t ticks) Ticks(least, most float64) (marks []plot.Tick) {
	for _, v := range t {
		if v >= least && v <= most {
			marks = append(marks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', -1, 64)})
		}
	}
	return marks
}
