package command

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestCheckPlaceholders(t *testing.T) {
	accepted := `
		tar -cf a.tar --to-command=cat -- {}
		gzip -9 {}
		gzip -9c -- {}
		convert {} {}.png
		convert {} -resize 50% out/{}
		convert {} -annotate 'two words' out/{}.png
		printf '%s|%s' {} a={}
		grep -c -- {}
		prog -e -- {}
		prog -e 1 {}
		prog -o {}
		prog -o{}.gz
		curl -fsS -- {}
		curl https://example.org/é/{}
		./prog --in={} --out=/tmp/{},b
		cat no placeholder
		awk '{print $1}'
		sh -c 'echo "$1"' sh {}
		sh -c 'echo "$0"' {}
		sh -ec 'echo "$1"' sh {}
		bash -euo pipefail -c 'echo "$1"' bash {}
		bash -o pipefail -c 'echo "$1"' bash {}
		bash --noprofile --norc -c 'echo "$1"' bash {}
		sh script.sh {}
		bash -o pipefail script.sh {}
		bash -- script.sh {}
		timeout 5 gzip {}
		timeout -k 1 5 gzip -- {}
		timeout --signal=INT 5 sh -c 'echo "$1"' sh {}
		env A=b prog {}
		env -i -u X A=b prog {}
		/usr/bin/env -- A=b bash -c 'echo "$1"' bash {}
		nice -n 10 ionice -c 2 -n7 gzip {}
		nohup setsid -w stdbuf -oL prog {}
		taskset -c 0-3 prog {}
		sudo -n -u nobody prog {}
		python3 script.py {}
		python3.11 -u script.py --in={}
		python3 -c 'import sys; print(sys.argv[1])' {}
		python3 -m module {}
		perl -w script.pl {}
		docker run --rm image convert {} out/{}
		gzip {} bash`
	refused := `
		tar -cf /dev/null --checkpoint=1 --checkpoint-action={} /usr/bin
		tar --to-command={} -xf a.tar
		tar --to-command {} -xf a.tar
		split --filter={} a
		sort --compress-program={} a
		rsync --rsh {} a b:
		git -c {} x
		git -c alias.x={} x
		prog -e {}
		prog -E {}
		prog -xe {}
		prog -9X {}
		prog -e{}
		prog -c={}
		prog -- other -c {}
		prog -{}
		prog --{}=x
		convert {} -c {}
		head -c {} /dev/zero
		grep -c {}
		sh -c 'echo "$1"' sh -c {}
		bash script.sh -c {}
		node script.js -e {}
		perl5.36-x86_64-linux-gnu {}
		perl5.36-x86_64-linux-gnu -e {}
		python3.11-dbg {}
		/usr/local/bin/gawk-5.2 {} x
		coreutils env {}
		{}
		./{}
		bash --rcfile /dev/null -c 'echo {}'
		bash -oc pipefail 'echo {}'
		bash -oc pipefail {}
		env -S 'sh -c "echo {}"'
		env -S 'sh -c' {}
		env -iS 'sh -c' {}
		env '-Ssh -c' {}
		env --split-string='sh -c' {}
		env -- A=b {}
		ssh host "ls {}"
		ssh host ls {}
		ssh {} host
		ssh -- host ls -- {}
		su -c "echo {}"
		su nobody -c {}
		su - nobody {}
		sudo -s {}
		sudo -i echo {}
		sudo sh -c {}
		sh -c 'echo {}'
		sh -c {}
		sh -cx 'echo {}'
		sh -c -e 'echo {}'
		sh -c -e {}
		bash -c -- 'echo {}'
		bash -c +x {}
		bash -o pipefail -c 'echo {}'
		bash --norc -c 'echo {}'
		bash --init-file {} x
		bash -O extglob -c {}
		bash -s {}
		bash -c 'exec "$@"' bash sh -c {}
		sh {}
		sh -- {}
		sh -x {}
		bash5 -c {}
		rbash -c {}
		fish -C x -c {}
		env sh -c 'echo {}'
		env {}
		env A={} prog
		env -u {} prog
		timeout 5 /bin/sh -c 'echo {}'
		timeout 5 {}
		timeout {} sleep 9
		timeout -s {} 5 sleep 9
		timeout --new 5 {}
		nice {}
		nice -n 5 {}
		nohup {}
		stdbuf -o L {}
		taskset -c 0 {}
		busybox sh -c 'echo {}'
		busybox {}
		docker run image sh -c {}
		wrapper bash -c {}
		awk '{}'
		awk {}
		awk -- {} file
		gawk -f prog.awk {}
		sed {}
		sed -n s/a/b/ {}
		perl -e {}
		perl -e 1 {}
		perl -E'say' {}
		python -c {}
		python3 -c 'print("{}")'
		python3 -uc {}
		python3 {}
		ruby -e {}
		node -e {}
		node --eval {}
		php -r {}
		find {} -name x
		find . -exec grep x {} +
		xargs -I{} prog {}
		parallel prog {}
		watch ls {}
		eval {}
		make {}
		script -c {}
		flock lock -c {}
		psql -c {}
		prog 'a {}'
		prog "'{}'"
		prog '"{}"'
		prog 'f({})'
		prog '{};x'
		prog '{}|x'
		prog '$({})'
		prog '$''{}'
		prog '{}&x'
		prog '<{}>'
		prog {{}}
		prog 'a
{}'`
	for list, want := range map[string]bool{accepted: true, refused: false} {
		for line := range strings.SplitSeq(strings.ReplaceAll(list, "\n\t\t", "\x00"), "\x00") {
			if line == "" {
				continue
			}
			words, err := Split(line)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if err := checkPlaceholders(words); (err == nil) != want {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
}

func TestCheckPlaceholdersFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	program := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for link, target := range map[string]string{
		"shell": program("dash"), "again": filepath.Join(dir, "shell"), "awful": program("mawk"), "snake": program("python3.11"),
		"gzip": program("busybox"), "cut": program("coreutils"), "sh": filepath.Join(dir, "busybox"),
		"other": program("prog"), "nowhere": filepath.Join(dir, "missing"),
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	for words, want := range map[string]bool{
		"shell {}": false, "again {}": false, "again script {}": true, "awful {}": false, "snake {}": false, "snake -u x.py {}": true,
		dir + "/shell {}": false, "prog " + dir + "/shell {}": false, "prog shell {}": true, "env -i shell {}": false, "env -i other {}": true,
		"gzip {}": true, "cut {}": true, "other {}": true, "nowhere {}": true, "sh {}": false, "busybox {}": false, "busybox gzip {}": true,
	} {
		if err := checkPlaceholders(strings.Fields(words)); (err == nil) != want {
			t.Errorf("%s: %v", words, err)
		}
	}
}

func TestRulesForProgramsAreWellFormed(t *testing.T) {
	for name, m := range manners {
		for _, pattern := range []string{m.alone, m.valued, m.code} {
			if _, err := regexp.Compile(pattern); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if slices.Contains(opaque, name) {
			t.Errorf("%s is in both lists", name)
		}
	}
}

func FuzzCheckPlaceholders(f *testing.F) {
	f.Add("env sh -c x sh {}")
	f.Add("timeout 5 nice -n 3 bash -euo pipefail x {}")
	f.Add("a {}/bash -c x")
	f.Fuzz(func(t *testing.T, line string) {
		words := strings.Fields(line)
		if len(words) == 0 || checkPlaceholders(words) != nil {
			return
		}
		// What is accepted stays so with a word in front that means nothing.
		if err := checkPlaceholders(append([]string{"prog"}, words...)); err != nil {
			t.Errorf("%q: %v", words, err)
		}
	})
}

func TestFillPutsThePayloadInPlaceOfThePlaceholder(t *testing.T) {
	words := []string{"a", "{}", "x{}y{}", "z", "{", ""}
	got, err := fill(words, []byte("p q"))
	if want := []string{"a", "p q", "xp qyp q", "z", "{", ""}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	if words[1] != "{}" {
		t.Error("the words were changed")
	}
	if got, err := fill(words, []byte("{}")); err != nil || got[2] != "x{}y{}" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := fill(words, []byte("a\x00b")); err == nil {
		t.Error("a zero byte is accepted")
	}
	if _, err := fill([]string{"a", "b"}, []byte("a\x00b")); err != nil {
		t.Errorf("without {}: %v", err)
	}
}
