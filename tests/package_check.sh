#!/usr/bin/env bash
# Installs the wheel into a fresh environment and runs every command beside files that no process of ours may import, in a shell
# whose settings would change what is trained. `make package` has built dist/.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
wheel=$(ls dist/*.whl)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "the wheel, which is made from the sdist, holds every file of the rooms and nothing else"
diff <(git ls-files --cached --others --exclude-standard tailor search models experiments | sed -E 's,^(search|models|experiments)/,tailor/&,' | sort) \
  <(python3 -m zipfile -l "$wheel" | awk '/^tailor\//{print $1}' | sort)
if tar tzf dist/*.tar.gz | grep -E '/(tests|docs|benchmarks|mlruns)/.'; then echo "the sdist holds more than it should"; exit 1; fi

echo "the wheel installs into a fresh environment"
"$python" -m venv "$work/env"
export PATH="$work/env/bin:$PATH"
install() { python -m pip install --quiet --no-compile --disable-pip-version-check -c "$root/constraints.txt" "$@"; }
install "$root/$wheel"
python -m pip check --disable-pip-version-check

mkdir -p "$work/here/models" "$work/home/.keras" "$work/home/.config/dask"
cd "$work/here"
for file in models/__init__ search experiments queue random keras; do
  echo 'raise SystemExit("HOSTILE: " + __file__ + " was imported")' > "$file.py"
done
echo '{"backend": "torch", "floatx": "float16", "epsilon": 0.1, "image_data_format": "channels_first"}' > "$work/home/.keras/keras.json"
echo 'distributed: {comm: {require-encryption: true}, nanny: {preload: [no_such_module]}, worker: {memory: {terminate: 0.01}}}' \
  > "$work/home/.config/dask/mine.yaml"
echo 'text.usetex: true' > matplotlibrc
hostile=(HOME="$work/home" DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD=fork MLFLOW_ENABLE_ASYNC_LOGGING=true
  MPLBACKEND=TkAgg DISPLAY= OMP_NUM_THREADS=64 TF_ENABLE_ONEDNN_OPTS=0 TF_XLA_FLAGS=--tf_xla_auto_jit=2 KERAS_MAX_STEPS_PER_EPOCH=1)
tailor() { echo "tailor $*"; env "${hostile[@]}" KERAS_BACKEND=jax PYTHONPATH=: tailor "$@" > said 2>&1 || { cat said; exit 1; }; }

tailor --version
tailor doctor
grep -q "WARN keras.py in the current folder" said
tailor studies
tailor schema
tailor check quickstart
tailor lr-range quickstart
tailor search quickstart --trials 2
tailor status quickstart
tailor compare quickstart:best quickstart:1
tailor reproduce quickstart:best
tailor report quickstart
tailor promote quickstart --to digits
tailor models digits
tailor history digits
tailor predict digits "$root/docs/pictures/digit.png"
tailor pull digits -o got
tailor export digits --format savedmodel
tailor fsck quickstart
tailor env

echo "a script"
cat > run.py <<'PYTHON'
import tailor

result = tailor.run("quickstart", settings={"study.name": "script", "search.trials": 2}, quiet=True)
assert len(result.trials) == 2 and result.model().count_params() > 0 and tailor.load("got")[1] == list("0123456789")
PYTHON
env "${hostile[@]}" KERAS_BACKEND=tensorflow python run.py > said 2>&1 || { cat said; exit 1; }

echo "what both left in MLflow is whole"
cat > "$work/look.py" <<'PYTHON'
import mlflow

client = mlflow.MlflowClient("sqlite:///mlruns/mlflow.db")
for name in ("quickstart", "script"):
    runs = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    trials = [run for run in runs if run.data.tags["tailor.kind"] == "trial"]
    assert len(trials) == 2 and all(run.info.status == "FINISHED" and run.data.params["units"] for run in trials), trials
    for run in trials:
        assert "learning_curves.png" in [item.path for item in client.list_artifacts(run.info.run_id)]
    (study,) = [run.info.run_id for run in runs if run.data.tags["tailor.kind"] == "study"]
    plots = [item.path for item in client.list_artifacts(study, "plots")]
    assert plots == ["plots/plots.html"], plots
PYTHON
python "$work/look.py" > said 2>&1 || { cat said; exit 1; }

echo "a notebook"
install ipykernel nbclient
cat > "$work/notebook.py" <<'PYTHON'
import nbclient
import nbformat

cells = ["import sys; print(sys.path)", "import tailor", 'result = tailor.run("quickstart", settings={"search.trials": 2}, quiet=True)', "result.model().count_params()"]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
nbclient.NotebookClient(notebook, timeout=200, kernel_name="python3").execute()  # raises what a cell does
path, *_, parameters = notebook.cells
assert "['', " in path.outputs[0].text or "', ''" in path.outputs[0].text, path.outputs
assert int(parameters.outputs[-1].data["text/plain"]) > 0
PYTHON
env JUPYTER_DATA_DIR="$work/jupyter" IPYTHONDIR="$work/jupyter" python "$work/notebook.py" > said 2>&1 || { cat said; exit 1; }
echo "the package works, beside whatever lies there"
