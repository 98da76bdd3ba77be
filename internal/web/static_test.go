package web

import (
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// least is the contrast that WCAG 2 wants of text (1.4.3, level AA).
const least = 4.5

// luminance is that of a colour "#rgb" or "#rrggbb", as WCAG defines it.
func luminance(t *testing.T, colour string) (sum float64) {
	t.Helper()
	hex := strings.TrimPrefix(colour, "#")
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	n, err := strconv.ParseUint(hex, 16, 24)
	if err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	for i, factor := range []float64{0.2126, 0.7152, 0.0722} {
		v := float64(n>>(16-8*i)&0xff) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += factor * v
	}
	return sum
}

func TestTextHasEnoughContrast(t *testing.T) {
	css, err := static.ReadFile("static/style.css")
	if err != nil {
		t.Fatal(err)
	}
	schemes := regexp.MustCompile(`:root \{([^}]*)\}`).FindAllStringSubmatch(string(css), -1)
	if len(schemes) != 2 {
		t.Fatalf("%d colour schemes", len(schemes))
	}
	for i, scheme := range []string{"light", "dark"} {
		colours := make(map[string]string)
		for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]+);`).FindAllStringSubmatch(schemes[i][1], -1) {
			colours[m[1]] = m[2]
		}
		for text, grounds := range map[string][]string{
			"text": {"back", "card", "good-back", "bad-back", "busy-back", "warn-back"},
			"dim":  {"back", "card"},
			"good": {"back", "card", "good-back"},
			"bad":  {"back", "card", "bad-back"},
			"busy": {"back", "card", "busy-back"},
			"warn": {"back", "card", "warn-back"},
		} {
			for _, ground := range grounds {
				a, b := luminance(t, colours[text]), luminance(t, colours[ground])
				if contrast := (max(a, b) + 0.05) / (min(a, b) + 0.05); contrast < least {
					t.Errorf("%s: --%s on --%s: %.2f", scheme, text, ground, contrast)
				}
			}
		}
	}
}

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	err := fs.WalkDir(static, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := static.ReadFile(path)
		for _, found := range regexp.MustCompile(`(?i)(?:href|src)=["']?(?:/|[a-z]+:[^,])|@import|url\(|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|\son[a-z]+=["']`).FindAllString(string(text), -1) {
			t.Errorf("%s: %s", path, found)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
