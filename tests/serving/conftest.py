import shutil

import pytest
import served_models

pytest.importorskip("aiohttp")
pytest.importorskip("grpc")
pytest.importorskip("prometheus_client")
pytest.importorskip("tensorflow_serving")


@pytest.fixture(scope="session")
def red_model(tmp_path_factory):
    """A version of the model "red"."""
    folder = tmp_path_factory.mktemp("red") / "1"
    served_models.write_model(folder)
    return folder


@pytest.fixture(scope="session")
def doubled_model(tmp_path_factory):
    """The same with twice the score."""
    folder = tmp_path_factory.mktemp("doubled") / "2"
    served_models.write_model(folder, scale=2.0)
    return folder


@pytest.fixture
def model_folder(red_model, tmp_path):
    """A folder of models with version 1 of "red"."""
    shutil.copytree(red_model, tmp_path / "models" / "red" / "1")
    return tmp_path / "models"


@pytest.fixture
def serve(request):
    """Start servers; they are stopped at the end of the test."""
    started = []

    def start(folder, **settings):
        started.append(served_models.Running(folder, **settings))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def red_server(red_model, tmp_path_factory):
    """One server of version 1 of "red" for all tests of a file."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(red_model, folder / "red" / "1")
    server = served_models.Running(folder)
    yield server
    server.stop()
